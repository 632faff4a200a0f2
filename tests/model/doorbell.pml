/*
 * Doorbell of shm/doorbell.c: no record is slept over. Two producers with a ring each and one consumer, one shared access per step;
 * each may die at every step (KILL). A dead producer is reported to the consumer over its control channel (the poke); a dead
 * consumer is replaced and looks at all rings before it sleeps.
 *
 * Left out: weak memory as such. The accesses that matter are sequentially consistent in the code, so interleaving is the
 * right picture; mutant RELAXED shows what a store that lingers in a store buffer would do. The word is unbounded in the code,
 * here it counts the few sleeps there are.
 *
 * Bounds by -D: RECORDS and RECORDS1 of the two producers, PDEATHS, CDEATHS. Mutants by -D, each must fail: RELAXED NO_SECOND_LOOK LOOK_FIRST NO_NUMBER
 * SAME_SLEEP NO_POKE
 */
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef RECORDS1
#define RECORDS1 1
#endif
#ifndef PDEATHS
#define PDEATHS 1
#endif
#ifndef CDEATHS
#define CDEATHS 1
#endif

byte word;            /* odd: the consumer sleeps */
byte bell;            /* the eventfd's counter, cut at 3 */
bit poke;             /* a message on the control channel */
byte tail[2], taken[2];
byte pdeaths, cdeaths;

#define PKILL :: atomic { pdeaths < PDEATHS -> pdeaths++; goto died }
#define CKILL :: atomic { cdeaths < CDEATHS -> cdeaths++; goto again }
#define MORE (tail[0] != taken[0] || tail[1] != taken[1])

proctype producer(byte p; byte records)
{
	byte n, seen;

	do
	:: n < records ->
#ifdef LOOK_FIRST
		if
		PKILL
		:: seen = word
		fi;
		if
		PKILL
		:: tail[p] = tail[p] + 1
		fi;
#else
#ifdef RELAXED
		/* the store of tail is still in the store buffer when the word is loaded */
		if
		PKILL
		:: seen = word
		fi;
		tail[p] = tail[p] + 1;
#else
		if
		PKILL
		:: tail[p] = tail[p] + 1
		fi;
		if
		PKILL
		:: seen = word
		fi;
#endif
#endif
		if
		:: seen % 2 == 1 ->
			if
			PKILL
			:: atomic { bell < 3 -> bell++ }
			:: atomic { bell == 3 -> skip }
			fi;
			if
			PKILL
#ifdef NO_NUMBER
			:: atomic { word % 2 == 1 -> word = 0 }
			:: atomic { word % 2 == 0 -> skip }
#else
			:: atomic { word == seen -> word = seen + 1 }
			:: atomic { word != seen -> skip }
#endif
			fi
		:: else
		fi;
		n++; seen = 0
	:: else -> break
	od;
	goto out;
died:
#ifndef NO_POKE
	poke = 1; /* reaped: PROC_DEAD to writerd */
#endif
out:
	skip
}

proctype consumer()
{
	byte seen;

again:
	seen = 0;
	do
	::
		/* take all that is seen */
		if
		CKILL
		:: taken[0] = tail[0]
		fi;
		if
		CKILL
		:: taken[1] = tail[1]
		fi;
		/* announce the sleep */
		if
		CKILL
		:: seen = word
		fi;
		if
		CKILL
#ifdef NO_NUMBER
		:: word = 1
#else
#ifdef SAME_SLEEP
		:: atomic { seen % 2 == 1 -> skip }
		:: atomic { seen % 2 == 0 && word == seen -> word = seen + 1 }
#else
		:: atomic { word == seen -> word = seen + 1 + seen % 2 }
		:: atomic { word != seen -> word = word + 1; assert(word % 2 == 1) } /* the second try */
#endif
#endif
		fi;
		seen = 0;
#ifndef NO_SECOND_LOOK
		if
		CKILL
		:: skip
		fi;
		if
		:: tail[0] != taken[0] -> goto awake
		:: tail[0] == taken[0] -> skip
		fi;
		if
		:: tail[1] != taken[1] -> goto awake
		:: tail[1] == taken[1] -> skip
		fi;
#endif
end:
		if
		:: atomic { bell > 0 -> bell = 0 }
		:: atomic { poke -> poke = 0 }
		CKILL
		fi;
awake:
		/* a forgetful consumer may leave the word odd */
		if
		CKILL
		:: skip
		:: seen = word;
			if
			:: atomic { seen % 2 == 1 && word == seen -> word = seen + 1 }
			:: atomic { !(seen % 2 == 1 && word == seen) -> skip }
			fi;
			seen = 0
		fi
	od
}

active proctype monitor()
{
	atomic { run producer(0, RECORDS); run producer(1, RECORDS1); run consumer() };
	timeout -> /* nobody can move: the consumer sleeps and no bell is pending */
		assert(!MORE)
}
