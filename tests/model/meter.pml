/*
 * Meters (shm/meter*.c): workers that reserve over two meters, extend and settle; each may die at every step (KILL) and is
 * followed by a sweeper that works as the dead one, may die too, and then goes on as the next worker. Windows turn at any
 * moment; with CONFIG a limit is lowered and the word touched.
 *
 * One step: one look at or one store to what others see; the two halves of a word are looked at apart. What a process keeps to
 * itself is lost at a death. Checked: no reservation above the limit; no operation of an entry twice, no adjustment of one that was
 * never reserved, none in another window; when an entry is closed, what it really added is what its charge says; in the end a meter
 * is worth the sum of the books and of what is held; values never below zero; a refusal on one meter is true at its moment; no
 * admission under a limit that was lowered and touched.
 *
 * Left out: weak memory (argued in docs/memory-model.md); the wrap of numbers (bounds in shm/meter_word.h); refusals that give up after
 * SHM_METER_TRIES. Several entries held by a worker, what other nodes use and grant, the directory of places, and the row that is written
 * beside the charge: these are played by tests/torture/torture_meters.c (kills) and torture_meter_threads.c (TSan), and rows alone by
 * usage.pml. Too large to be searched whole: three workers for two units of one meter (56 million states without an error in five
 * minutes), two deaths of three workers.
 *
 * Bounds by -D: WORKERS, REQUESTS each, DEATHS in all, TURNS, LIMIT, ENTRIES 1 or 2 meters a request. Variants: EXTEND, CONFIG, OVER
 * (settle above the reservation). Mutants by -D, each must fail: NO_ACK ACK_LATE NOTE_FIRST NOTE_LATE EPOCH_LATE NO_REVALIDATE
 * UNDO_HELD AMOUNT_ADDED NO_TOUCH
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#define NOBODY 7
#define WINDOWS 3

#define NONE 0 /* states of an entry */
#define HELD 1
#define CLOSING 2
#define SETTLED 3

#define IDLE 0 /* phases */
#define RESERVE 1
#define ADJUST 2
#define EXTENDING 3

#define QUIET 0 /* notes */
#define PENDING 1
#define DONE 2

typedef Word { byte value, epoch, writer, seq };
typedef Item {
	byte meter, amount, epoch, target;
	short delta;
	/* ghosts: what it really added, in which window; operations that took effect */
	short real;
	byte real_epoch;
	bit reserved, taken, extended;
};
typedef Identity {
	byte note, note_meter, note_seq;
	byte phase, k, n, seq; /* progress: one word */
	byte state;
	byte requests;
	Item item[2];
};
typedef Book { byte at[WINDOWS] };

Word word[2];
Identity id[WORKERS];
Book book[2];
byte now, deaths, finished;
byte limit = LIMIT;
bit lowered; /* ghost: the lower limit was stored and touched */

#define ME id[p]
#define IT id[p].item[id[p].k]
#define WD word[id[p].item[id[p].k].meter]
#define KILL :: atomic { deaths < DEATHS -> deaths++; goto died }
#define FORGET v = 0; e = 0; w = 0; s = 0; nv = 0; ne = 0; ack = 0

inline step(to, done, all) /* the next number, and progress, in one store */
{
	d_step { ME.phase = to; ME.k = done; ME.n = all; ME.seq = ME.seq + 1 }
}

inline clear_items()
{
	ME.item[0].reserved = 0; ME.item[0].taken = 0; ME.item[0].extended = 0; ME.item[0].real = 0; ME.item[0].real_epoch = 0;
	ME.item[0].epoch = 0; ME.item[0].delta = 0; ME.item[0].target = 0;
	ME.item[1].reserved = 0; ME.item[1].taken = 0; ME.item[1].extended = 0; ME.item[1].real = 0; ME.item[1].real_epoch = 0;
	ME.item[1].epoch = 0; ME.item[1].delta = 0; ME.item[1].target = 0
}

/* The charge of a closed entry goes to the books: it is what it really added, unless the window has turned meanwhile. */
inline to_books(j)
{
	assert(ME.item[j].reserved && ME.item[j].real_epoch == ME.item[j].epoch);
	assert(ME.item[j].real == ME.item[j].amount + ME.item[j].delta || word[ME.item[j].meter].epoch != ME.item[j].epoch);
	book[ME.item[j].meter].at[ME.item[j].epoch] =
		book[ME.item[j].meter].at[ME.item[j].epoch] + ME.item[j].amount + ME.item[j].delta
}

proctype worker(byte p)
{
	byte v, e, w, s, nv, ne, lim, j;
	bit hit, ack, swept;

enter:
	/* Did the announced operation take effect? */
	if
	:: atomic { ME.phase != IDLE && ME.k < ME.n && ME.note != QUIET && ME.note_seq == ME.seq && ME.note_meter == IT.meter -> skip };
#ifdef NOTE_FIRST
		if
		:: atomic { hit = (ME.note == DONE) }
		KILL
		fi;
		if
		:: atomic { hit = hit || (WD.writer == p && WD.seq == ME.seq) }
		KILL
		fi;
#else
		if
		:: atomic { hit = (WD.writer == p && WD.seq == ME.seq) }
		KILL
		fi;
		if
		:: atomic { hit = hit || (ME.note == DONE) }
		KILL
		fi;
#endif
		if
		:: atomic { hit -> hit = 0; step(ME.phase, ME.k + 1, ME.n) }
		:: atomic { !hit -> skip }
		KILL
		fi
	:: else
	fi;
	if
	:: swept && ME.phase == RESERVE -> goto undo
	:: swept && ME.phase == EXTENDING && ME.k < ME.n -> goto undo
	:: swept && ME.phase == EXTENDING && ME.k == ME.n -> goto grown
	:: swept && ME.phase == ADJUST -> goto next_op
	:: swept && ME.phase == IDLE && ME.state == CLOSING -> goto close
	:: else
	fi;

idle:
	swept = 0;
	if
	:: ME.state == NONE && ME.requests < REQUESTS ->
		if
		:: d_step { ME.item[0].meter = 0; ME.item[1].meter = 1 }
		:: d_step { ME.item[0].meter = 1; ME.item[1].meter = 0 }
		fi;
		if
		:: d_step { clear_items(); ME.item[0].amount = 1; ME.item[1].amount = 1 + (p & 1); step(RESERVE, 0, ENTRIES) }
		KILL
		fi;
		goto next_op
	:: ME.state == HELD ->
		if
#ifdef EXTEND
		:: atomic { !ME.item[0].extended && !ME.item[1].extended && ME.item[0].target == 0 ->
			d_step {
				ME.item[0].delta = 1; ME.item[0].target = ME.item[0].amount + 1;
				ME.item[1].delta = 0; ME.item[1].target = ME.item[1].amount;
				step(EXTENDING, 0, ENTRIES)
			} };
			goto next_op
#endif
		:: d_step { ME.item[0].delta = 1 - ME.item[0].amount; ME.item[1].delta = 1 - ME.item[1].amount; ME.state = CLOSING }
		:: d_step { ME.item[0].delta = -ME.item[0].amount; ME.item[1].delta = -ME.item[1].amount; ME.state = CLOSING }
#ifdef OVER
		:: d_step { ME.item[0].delta = 1; ME.item[1].delta = 1; ME.state = CLOSING }
#endif
		KILL
		fi;
		goto close
	:: ME.state == SETTLED ->
		d_step {
			to_books(0);
			if
			:: ENTRIES == 2 -> to_books(1)
			:: else
			fi;
			clear_items();
			ME.state = NONE; ME.requests++
		};
		goto idle
	:: ME.state == NONE && ME.requests == REQUESTS -> goto end
	fi;

close:
	if
	:: step(ADJUST, 0, ENTRIES)
	KILL
	fi;
	goto next_op;

undo:
#ifndef UNDO_HELD
	if
	:: atomic { ME.phase == RESERVE -> ME.state = NONE }
	:: atomic { ME.phase != RESERVE -> skip }
	KILL
	fi;
#endif
	if
	:: atomic { ME.phase == RESERVE ->
		d_step {
			ME.item[0].delta = -ME.item[0].amount; ME.item[1].delta = -ME.item[1].amount;
			j = ME.k; step(ADJUST, 0, j); j = 0
		} }
	:: atomic { ME.phase == EXTENDING ->
		d_step {
			ME.item[0].delta = ME.item[0].amount - ME.item[0].target; ME.item[1].delta = ME.item[1].amount - ME.item[1].target;
			j = ME.k; step(ADJUST, 0, j); j = 0
		} }
	KILL
	fi;
	goto next_op;

grown:
	if
#ifdef AMOUNT_ADDED
	:: d_step { ME.item[0].amount = ME.item[0].amount + 1 }
#else
	:: d_step { ME.item[0].amount = ME.item[0].target }
#endif
	KILL
	fi;
	if
	:: d_step { ME.item[1].amount = ME.item[1].target; ME.phase = IDLE; ME.k = 0; ME.n = 0 }
	KILL
	fi;
	goto idle;

next_op:
	if
	:: ME.k == ME.n ->
		if
		:: ME.phase == RESERVE ->
			if
			:: ME.state = HELD
			KILL
			fi;
			if
			:: ME.note = DONE /* a hint: progress has moved on */
			KILL
			fi;
			if
			:: d_step { ME.phase = IDLE; ME.k = 0; ME.n = 0 }
			KILL
			fi;
			goto idle
		:: ME.phase == EXTENDING -> goto grown
		:: ME.phase == ADJUST ->
			if
			:: ME.note = DONE
			KILL
			fi;
			if
			:: atomic { ME.state == CLOSING -> ME.state = SETTLED }
			:: atomic { ME.state != CLOSING -> skip }
			KILL
			fi;
			if
			:: d_step {
				ME.phase = IDLE; ME.k = 0; ME.n = 0;
				if
				:: ME.state == NONE -> /* refused, or undone: nothing may be left, but in a window that is over */
					assert(ME.item[0].real == 0 || word[ME.item[0].meter].epoch != ME.item[0].real_epoch);
					assert(ME.item[1].real == 0 || word[ME.item[1].meter].epoch != ME.item[1].real_epoch);
					ME.requests++
				:: ME.state == HELD -> ME.item[0].extended = 1 /* an extension that was taken back */
				:: else
				fi }
			KILL
			fi;
			goto idle
		fi
	:: ME.k < ME.n && ME.phase != RESERVE && IT.delta == 0 ->
		if
		:: step(ME.phase, ME.k + 1, ME.n)
		KILL
		fi;
		goto next_op
	:: ME.k < ME.n && (ME.phase == RESERVE || IT.delta != 0) -> skip
	fi;
#ifndef NOTE_LATE
	if
	:: d_step { ME.note = PENDING; ME.note_meter = IT.meter; ME.note_seq = ME.seq }
	KILL
	fi;
#endif

look:
	if
	:: d_step { e = WD.epoch; w = WD.writer; s = WD.seq }
	KILL
	fi;
	if
	:: ME.phase != RESERVE && e != IT.epoch -> /* the window has turned: nothing to adjust */
		if
		:: d_step { FORGET; step(ME.phase, ME.k + 1, ME.n) }
		KILL
		fi;
		goto next_op
	:: else
	fi;
	if
	:: v = WD.value
	KILL
	fi;
	if
	:: ME.phase == ADJUST -> d_step { nv = v + IT.delta; ne = e }
	:: else ->
		if
		:: d_step {
			ne = e; nv = v; lim = limit;
			if
			:: ME.phase == RESERVE && now > e -> ne = now; nv = 0
			:: else
			fi }
		KILL
		fi;
		if
		:: nv + (ME.phase == RESERVE -> IT.amount : IT.delta) > lim ->
#ifndef NO_REVALIDATE
			if
			:: atomic { !(WD.epoch == e && WD.writer == w && WD.seq == s) -> FORGET; lim = 0; goto look }
			:: atomic { WD.epoch == e && WD.writer == w && WD.seq == s ->
#else
			if
			:: atomic { true ->
#endif
#ifndef CONFIG
				/* it is true now, whatever comes */
				assert((ne == WD.epoch -> WD.value : 0) + (ME.phase == RESERVE -> IT.amount : IT.delta) > lim);
#endif
				FORGET; lim = 0 }
			KILL
			fi;
			goto undo
		:: else -> d_step { nv = nv + (ME.phase == RESERVE -> IT.amount : IT.delta) }
		fi
	fi;
#ifndef NO_ACK
#ifndef ACK_LATE
	if
	:: atomic { w != p && w != NOBODY -> ack = (id[w].note == PENDING && id[w].note_meter == IT.meter && id[w].note_seq == s) }
	:: atomic { w == p || w == NOBODY -> skip }
	KILL
	fi;
	if
	:: atomic { ack -> d_step {
		if
		:: id[w].note == PENDING && id[w].note_meter == IT.meter && id[w].note_seq == s -> id[w].note = DONE
		:: else
		fi;
		ack = 0 } }
	:: atomic { !ack -> skip }
	KILL
	fi;
#endif
#endif
#ifndef EPOCH_LATE
	if
	:: atomic { ME.phase == RESERVE -> IT.epoch = ne }
	:: atomic { ME.phase != RESERVE -> skip }
	KILL
	fi;
#endif
	/* the swap */
	if
	:: atomic { WD.value == v && WD.epoch == e && WD.writer == w && WD.seq == s -> d_step {
		if
		:: ME.phase == RESERVE ->
			assert(!IT.reserved); IT.reserved = 1; IT.real = IT.amount; IT.real_epoch = ne;
			assert(nv <= LIMIT && (!lowered || nv <= limit))
		:: ME.phase == EXTENDING ->
			assert(IT.reserved && !IT.extended && ne == IT.real_epoch); IT.extended = 1; IT.real = IT.real + IT.delta;
			assert(nv <= LIMIT && (!lowered || nv <= limit))
		:: ME.phase == ADJUST ->
			assert(IT.reserved && ne == IT.real_epoch);
			assert(!IT.taken || ME.state == HELD);
			IT.taken = (ME.state != HELD); IT.real = IT.real + IT.delta;
			assert(v + IT.delta >= 0 && IT.real >= 0)
		fi;
		WD.value = nv; WD.epoch = ne; WD.writer = p; WD.seq = ME.seq;
#ifndef ACK_LATE
		FORGET;
#endif
		lim = 0 } }
	:: atomic { !(WD.value == v && WD.epoch == e && WD.writer == w && WD.seq == s) -> FORGET; lim = 0; goto look }
	KILL
	fi;
#ifdef ACK_LATE
	if
	:: d_step {
		if
		:: w != p && w != NOBODY && id[w].note == PENDING && id[w].note_meter == IT.meter && id[w].note_seq == s -> id[w].note = DONE
		:: else
		fi;
		FORGET }
	KILL
	fi;
#endif
#ifdef NOTE_LATE
	if
	:: d_step { ME.note = PENDING; ME.note_meter = IT.meter; ME.note_seq = ME.seq }
	KILL
	fi;
#endif
#ifdef EPOCH_LATE
	if
	:: atomic { ME.phase == RESERVE -> IT.epoch = IT.real_epoch }
	:: atomic { ME.phase != RESERVE -> skip }
	KILL
	fi;
#endif
	if
	:: step(ME.phase, ME.k + 1, ME.n)
	KILL
	fi;
	goto next_op;

died:
	skip;
	d_step { FORGET; lim = 0; hit = 0; j = 0; swept = 1 };
	goto enter;

end:
	skip;
	d_step {
		finished++;
		if
		:: finished == WORKERS ->
			assert(word[0].value == book[0].at[word[0].epoch]);
			assert(word[1].value == book[1].at[word[1].epoch])
		:: else
		fi
	}
}

proctype clock()
{
	do
	:: now < TURNS -> now++
	:: else -> break
	od
}

#ifdef CONFIG
/* Lowers the limit, then touches both words; may itself die before the touch, which leaves one race behind. */
proctype configure()
{
	byte v, e, w, s, m;
	bit ack;

	limit = LIMIT - 1;
#ifndef NO_TOUCH
	do
	:: m < 2 ->
again:
		skip;
		d_step { v = word[m].value; e = word[m].epoch; w = word[m].writer; s = word[m].seq };
		if
		:: w != NOBODY -> d_step {
			if
			:: id[w].note == PENDING && id[w].note_meter == m && id[w].note_seq == s -> id[w].note = DONE
			:: else
			fi }
		:: else
		fi;
		if
		:: atomic { word[m].value == v && word[m].epoch == e && word[m].writer == w && word[m].seq == s -> d_step {
			word[m].writer = NOBODY; word[m].seq = s + 1; m++; v = 0; e = 0; w = 0; s = 0 } }
		:: atomic { !(word[m].value == v && word[m].epoch == e && word[m].writer == w && word[m].seq == s) -> v = 0; e = 0; w = 0; s = 0; goto again }
		fi
	:: else -> break
	od;
#endif
	lowered = 1
}
#endif

init {
	byte i;

	atomic {
		word[0].writer = NOBODY;
		word[1].writer = NOBODY;
		do
		:: i < WORKERS -> id[i].seq = 1; run worker(i); i++
		:: else -> break
		od;
		if
		:: TURNS > 0 -> run clock()
		:: else
		fi;
#ifdef CONFIG
		run configure();
#endif
		i = 0
	}
}
