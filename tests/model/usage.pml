/*
 * Usage ring, overflow and in-flight table of one process slot: exactly one row per begun request, in order, whatever
 * dies. Follows shm/ring.c, shm/usage.c, shm/inflight.c and the order of calls of proxyd and writerd, one shared access per
 * step. At every step (KILL) the actor may die and lose its locals; the supervisor then declares a dead worker DEAD, a dead
 * writerd starts anew. The store's commit is one step, deduplicated by request number.
 *
 * Left out: weak memory (every step is seen by all at once; docs/memory-model.md argues the orders), records as bytes (a
 * copy is one step, which the publishing store makes safe), wrap-around of 64-bit positions, memory that runs out.
 *
 * Bounds by -D: NREQ requests, RING and OVER places, HELD entries, WDEATHS and CDEATHS deaths of worker and writerd.
 * Mutants by -D, each must fail: CLEAR_FIRST SWEEP_EARLY RELEASE_FIRST PEEK_ORDER PUNCH_LATE SPILL_ANY NO_ROOM SWEEP_LIVING
 * SWEPT_FIRST
 */
#ifndef NREQ
#define NREQ 4
#endif
#ifndef RING
#define RING 1
#endif
#ifndef OVER
#define OVER 2
#endif
#ifndef HELD
#define HELD 2
#endif
#ifndef WDEATHS
#define WDEATHS 1
#endif
#ifndef CDEATHS
#define CDEATHS 1
#endif

#define LIVE 1
#define DEAD 2
#define FREE 0
#define EMPTY 255 /* a page that was given back, or never written */
#define FINISHED 1
#define CRASHED 2

byte slot = LIVE;
byte ring[RING], over[OVER];
byte rtail, rhead, otail, ohead, ofreed; /* the small ring frees with head */
byte entry[HELD];
bit held[HELD];

/* ghosts: what the oracle knows */
byte row[NREQ];     /* 0, FINISHED or CRASHED; the first insert wins */
bit begun[NREQ], finished[NREQ];
byte pushes, order[NREQ], committed; /* order[k]: the k-th pushed request */
byte wdeaths, cdeaths, next_req;
bit working, done;

#define WKILL :: atomic { wdeaths < WDEATHS -> wdeaths++; goto died }
#define CKILL :: atomic { cdeaths < CDEATHS -> cdeaths++; goto again }

#define OROOM (OVER - (otail - ofreed))
#define RROOM (RING - (rtail - rhead))

inline insert(r, kind)
{
	assert(r != EMPTY);
	if
	:: row[r] == 0 ->
		row[r] = kind;
		if
		:: kind == FINISHED -> assert(order[committed] == r); committed++
		:: else
		fi
	:: else
	fi
}

/* The worker: lives, is reaped, is followed by the next one after the slot was freed. */
proctype worker()
{
	byte i, e, room, oh, fr, rh, count;

	working = 1;
	do
	:: atomic { next_req < NREQ ->                /* begin, if an entry and the room are there */
		e = 0;
		do
		:: e < HELD && held[e] -> e++
		:: else -> break
		od;
		count = 0; i = 0;
		do
		:: i < HELD -> count = count + held[i]; i++
		:: else -> break
		od;
		i = 0
	   };
	   if
	   WKILL
	   :: oh = ohead
	   fi;
	   if
	   WKILL
	   :: rh = rhead
	   fi;
	   if
	   WKILL
#ifdef PUNCH_LATE
	   :: fr = ohead
#else
	   :: fr = ofreed
#endif
	   fi;
	   atomic {
		room = OVER - (otail - fr);
		if
		:: oh == otail -> room = room + RING - (rtail - rh)
		:: else
		fi;
		oh = 0; fr = 0; rh = 0
	   };
	   if
#ifdef NO_ROOM
	   :: e < HELD ->
#else
	   :: e < HELD && count < room ->
#endif
		if
		WKILL
		:: entry[e] = next_req
		fi;
		if
		WKILL
		:: atomic { held[e] = 1; begun[next_req] = 1; next_req++ }
		fi
	   :: else
	   fi;
	   atomic { e = 0; count = 0; room = 0 }
	:: atomic { held[0] || (HELD > 1 && held[HELD - 1]) ->
		if
		:: held[0] -> e = 0
		:: held[HELD - 1] -> e = HELD - 1
		fi };
#ifdef CLEAR_FIRST
	   if
	   WKILL
	   :: held[e] = 0
	   fi;
#endif
	   /* push: is the overflow drained? */
	   if
	   WKILL
	   :: oh = ohead
	   fi;
	   if
	   WKILL
	   :: rh = rhead
	   fi;
#ifdef SPILL_ANY
	   if
	   :: RING - (rtail - rh) > 0 ->
#else
	   if
	   :: oh == otail && RING - (rtail - rh) > 0 ->
#endif
		if
		WKILL
		:: ring[rtail % RING] = entry[e]
		fi;
		if
		WKILL
		:: atomic { rtail++; order[pushes] = entry[e]; pushes++ }
		fi
	   :: else ->
		if
		WKILL
#ifdef PUNCH_LATE
		:: fr = ohead
#else
		:: fr = ofreed
#endif
		fi;
		assert(OVER - (otail - fr) > 0); /* the room kept at admission */
		if
		WKILL
		:: over[otail % OVER] = entry[e]
		fi;
		if
		WKILL
		:: atomic { otail++; order[pushes] = entry[e]; pushes++ }
		fi
	   fi;
	   atomic { oh = 0; fr = 0; rh = 0 };
#ifndef CLEAR_FIRST
	   if
	   WKILL
	   :: held[e] = 0
	   fi;
#endif
	   finished[entry[e]] = 1;
	   e = 0
	:: atomic { next_req == NREQ && !held[0] && !held[HELD - 1] -> goto died } /* drained and left */
	WKILL
	od;
died:
	working = 0
}

/* Reaps, declares dead, starts the next worker when the slot is free again. */
proctype supervisor()
{
	do
	:: atomic { slot == LIVE && !working -> slot = DEAD }
	:: atomic { slot == FREE && next_req < NREQ -> slot = LIVE; working = 1; run worker() }
	:: atomic { slot == FREE && next_req == NREQ -> done = 1; break }
	od
}

proctype writer()
{
	byte in_ring, in_over, i, n;
	byte state;

again:
	atomic { in_ring = 0; in_over = 0; i = 0; n = 0; state = 0 };
	do
	:: done -> break
	:: slot != FREE ->
		state = slot;
		/* peek: the overflow's tail first, then the small ring's */
#ifdef PEEK_ORDER
		if
		CKILL
		:: in_ring = rtail - rhead
		fi;
		if
		CKILL
		:: in_over = otail - ohead
		fi;
#else
		if
		CKILL
		:: in_over = otail - ohead
		fi;
		if
		CKILL
		:: in_ring = rtail - rhead
		fi;
#endif
		if                                      /* a batch has an end */
		:: atomic { in_over > 0 && in_ring > 0 -> in_over = 0 }
		:: atomic { in_over > 1 -> in_over = 1 }
		:: skip
		fi;
#ifdef RELEASE_FIRST
		if
		CKILL
		:: rhead = rhead + in_ring
		fi;
		atomic {
		i = 0;
		do
		:: i < in_ring -> insert(ring[(rhead - in_ring + i) % RING], FINISHED); i++
		:: else -> break
		od;
#else
		if
		CKILL
		:: skip
		fi;
		atomic {                                /* one transaction */
		i = 0;
		do
		:: i < in_ring -> insert(ring[(rhead + i) % RING], FINISHED); i++
		:: else -> break
		od;
#endif
		i = 0;
		do
		:: i < in_over -> insert(over[(ohead + i) % OVER], FINISHED); i++
		:: else -> break
		od;
		i = 0
		};
#ifndef RELEASE_FIRST
		if
		CKILL
		:: rhead = rhead + in_ring
		fi;
#endif
		if
		CKILL
		:: ohead = ohead + in_over
		fi;
		/* pages of [freed, head) are given back, then the places are let go */
		if
		CKILL
		:: atomic {
			i = ofreed;
			do
			:: i < ohead -> over[i % OVER] = EMPTY; i++
			:: else -> break
			od;
			i = 0
		   }
		fi;
		if
		CKILL
		:: ofreed = ohead
		fi;
#ifdef SWEEP_LIVING
		if
		:: rtail == rhead && otail == ohead ->
#else
#ifdef SWEEP_EARLY
		if
		:: state == DEAD ->
#else
		if
		:: state == DEAD && rtail == rhead && otail == ohead ->
#endif
#endif
			n = 0;
			do
			:: n < HELD && held[n] ->
#ifdef SWEPT_FIRST
				if
				CKILL
				:: held[n] = 0
				fi;
#endif
				if
				CKILL
				:: atomic { insert(entry[n], CRASHED) }
				fi;
#ifndef SWEPT_FIRST
				if
				CKILL
				:: held[n] = 0
				fi;
#endif
				n++
			:: n < HELD && !held[n] -> n++
			:: else -> break
			od;
			n = 0;
			if
			CKILL
			:: atomic { slot == DEAD && rtail == rhead && otail == ohead -> slot = FREE }
			:: atomic { !(slot == DEAD && rtail == rhead && otail == ohead) -> skip }
			fi
		:: else
		fi;
		atomic { in_ring = 0; in_over = 0; state = 0 }
	od
}

init
{
	byte i;

	atomic {
		do
		:: i < OVER -> over[i] = EMPTY; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < RING -> ring[i] = EMPTY; i++
		:: else -> break
		od;
		i = 0;
		working = 1;
		run worker();
		run supervisor();
		run writer()
	};
	done && _nr_pr == 1;
	do
	:: i < NREQ ->
		assert(!begun[i] || row[i] != 0);             /* no begun request without a row */
		assert(!finished[i] || row[i] == FINISHED);   /* no finished one that the row calls crashed */
		assert(begun[i] || row[i] == 0);
		i++
	:: else -> break
	od
}
