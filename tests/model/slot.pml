/*
 * Life of a process slot (shm/slot.c, shm/metrics.c) with a supervisor, its children and writerd, each of which may die at
 * every step (KILL). A new supervisor starts when nobody of the earlier life is left: children leave when the channel
 * closes, the lock of the runtime folder proves it; before that, waitpid is the only proof of a death.
 *
 * Checked: a slot has at most one holder and nobody retires a living one; the sum of a counter is at every moment what was
 * counted, never less and never twice; a new holder starts from zero with fields of its own; no slot is lost in the end.
 * Left out: weak memory (the state word carries acquire and release), rings and entries (usage.pml), the number of pages.
 *
 * Bounds by -D: LIVES children in all, SDEATHS, CDEATHS (children), RDEATHS (writerd). Mutants by -D, each must fail:
 * NO_WAITPID NO_ALL_DEAD FIELDS_LATE FOLD NO_RETIRE
 */
#ifndef LIVES
#define LIVES 3
#endif
#ifndef SDEATHS
#define SDEATHS 1
#endif
#ifndef CDEATHS
#define CDEATHS 2
#endif
#ifndef RDEATHS
#define RDEATHS 2
#endif
#define SLOTS 2

#define FREE 0
#define ASSIGNED 1
#define LIVE 2
#define DEAD 3

byte state[SLOTS];
byte known[SLOTS];                        /* as the supervisor wrote it; 0: not yet */
byte value[SLOTS], base[SLOTS];         /* one counter */
byte gauge[SLOTS];
byte retired;                           /* mutant FOLD only */

/* ghosts */
byte counted, own[SLOTS], lives, sdeaths, cdeaths, rdeaths;
byte alive;                             /* children that run */
byte holder[SLOTS];                     /* pid of the child that entered and runs; 0: none */
byte exited;                            /* pid waiting to be reaped; 0: none */
byte exited_slot;
bit supervisor_up = 1;

#define SKILL :: atomic { sdeaths < SDEATHS -> sdeaths++; supervisor_up = 0; goto again }
#define CKILL :: atomic { cdeaths < CDEATHS -> cdeaths++; goto died }
#define RKILL :: atomic { rdeaths < RDEATHS -> rdeaths++; goto again }
#ifdef FOLD
#define SUM (value[0] + value[1] + retired)
#else
#define SUM (value[0] + value[1])
#endif

proctype child(byte p; byte me)
{
	byte expected;

	if
	CKILL
	:: !supervisor_up -> goto died
	:: expected = known[p]
	fi;
	if
	:: atomic { !(state[p] == ASSIGNED && (expected == 0 || expected == me)) ->
		assert(!supervisor_up); goto died } /* refused: never while its own slot waits for it */
	:: atomic { state[p] == ASSIGNED && (expected == 0 || expected == me) ->
		assert(holder[p] == 0); /* at most one holder */
		assert(value[p] == base[p] && gauge[p] == 0);
		state[p] = LIVE; holder[p] = me; own[p] = 0 }
	CKILL
	fi;
	gauge[p] = 1;
	if
	CKILL
	:: atomic { value[p]++; counted++; own[p]++; assert(value[p] - base[p] == own[p]) }
	fi;
died:	/* killed, asked to leave, or left by its supervisor */
	/* exit: a zombie until waitpid; without a supervisor nobody needs to wait for it */
	atomic {
		if
		:: holder[p] == me -> holder[p] = 0
		:: else
		fi;
		alive--;
		if
		:: supervisor_up -> exited = me; exited_slot = p
		:: else
		fi
	}
}

proctype supervisor()
{
	byte p, i;

	goto first;
again:
	/* the next one gets the lock when the last child is gone; what was not reaped is gone too */
	atomic { alive == 0 -> supervisor_up = 1; exited = 0; p = 0 };
#ifndef NO_ALL_DEAD
	i = 0;
	do
	:: i < SLOTS ->
		if
		SKILL
		:: atomic { state[i] == ASSIGNED || state[i] == LIVE -> state[i] = DEAD }
		:: atomic { state[i] == FREE || state[i] == DEAD -> skip }
		fi;
		i++
	:: else -> break
	od;
	i = 0;
#endif
first:
	do
	:: atomic { exited -> p = exited_slot }; /* waitpid */
		if
		SKILL
		:: exited = 0
		fi;
		if
		SKILL
		:: atomic { state[p] == ASSIGNED || state[p] == LIVE -> state[p] = DEAD }
		:: atomic { state[p] == FREE || state[p] == DEAD -> skip }
		fi;
		p = 0
#ifdef NO_WAITPID
	:: atomic { state[0] == LIVE -> state[0] = DEAD } /* "it looks dead" */
#endif
	/* one child at a time keeps the model small; the other slot may still be dead */
	:: atomic { alive == 0 && !exited && lives < LIVES && (state[0] == FREE || state[1] == FREE) ->
		if
		:: state[0] == FREE -> p = 0
		:: else -> p = 1
		fi };
#ifndef FIELDS_LATE
		if
		SKILL
		:: known[p] = 0
		fi;
#endif
		if
		SKILL
		:: state[p] = ASSIGNED
		fi;
		if
		SKILL
		:: atomic { lives++; alive++; run child(p, lives) }
		fi;
#ifdef FIELDS_LATE
		if
		SKILL
		:: known[p] = 0
		fi;
#endif
		if
		SKILL
		:: known[p] = lives
		fi;
		p = 0
	:: atomic { lives == LIVES && alive == 0 && !exited && state[0] == FREE && state[1] == FREE -> break }
	od
}

proctype writer()
{
	byte p;

again:
	p = 0;
end:
	do
	:: atomic { state[0] == DEAD -> p = 0 }; goto retire
	:: atomic { state[1] == DEAD -> p = 1 }; goto retire
	od;
retire:
	atomic { assert(holder[p] == 0) };      /* never a living one */
	if
	RKILL
	:: gauge[p] = 0
	fi;
#ifdef FOLD
	if
	RKILL
	:: retired = retired + value[p]
	fi;
	if
	RKILL
	:: value[p] = 0
	fi;
#else
#ifndef NO_RETIRE
	if
	RKILL
	:: base[p] = value[p]
	fi;
#endif
#endif
	if
	RKILL
	:: atomic { state[p] == DEAD -> state[p] = FREE }
	fi;
	goto again
}

active proctype monitor()
{
	atomic { run supervisor(); run writer() };
	do
	:: atomic { SUM != counted -> assert(false) } /* a counter stepped back or was counted twice */
	:: timeout -> break
	od;
	assert(lives == LIVES && state[0] == FREE && state[1] == FREE && alive == 0) /* no slot is lost */
}
