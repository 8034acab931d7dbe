/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See spin.h. Each thread keeps the share of its last waits that were no longer than MELIN_SPIN_US,
 * as a moving average. A wait counts whether the thread has polled or slept: so a thread that
 * sleeps at once by now notices when polling would pay again.
 *
 * Who polls on a processor that others want keeps them from their work, and with them perhaps the
 * very peer it waits for. Linux does not say who wants it; but sched_yield(2) lets them have it,
 * and the time that it takes tells. Threads of the program itself that wait by turns on one
 * processor are not such others.
 */
#include "preload/waiting/spin.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "common/system_call.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"

/*
 * The share is in 1/256, and the last wait makes up an eighth of it. When less than half of the
 * waits are short, polling costs more processor time than it saves latency.
 */
#define SHARE_ALL    256
#define SHARE_ENOUGH 128
#define WEIGHT	     8

/*
 * A yield takes some 0.3 us where nobody wants the processor: once in this time that costs little.
 */
#define YIELD_NS 5000u

/* A yield that takes longer than this has switched to another thread and back. */
#define SWITCHED_NS 2000u

/* A time between two looks that is longer than this: others have had the processor meanwhile. */
#define PREEMPTED_NS 100000u

/*
 * For so long the thread does not poll when others want more, and for twice as long each further
 * time, up to the longest: a program that computes should be in the way of few requests.
 */
#define CROWDED_NS     500000u
#define CROWDED_MAX_NS 500000000u

/*
 * When the thread has polled for so long undisturbed, the time is halved again. A program that
 * computes is given the processor after 4 ms at the latest: this time does not pass.
 */
#define UNDISTURBED_NS 20000000u

/* What the thread knows of others who want its processor. */
static __thread struct {
	uint64_t last_look, next_yield;
	uint64_t polled, others; /* how it was shared of late, in nanoseconds */
	uint64_t not_before;	 /* it does not poll before this time */
	uint64_t pause;		 /* how long that was */
} crowd;

static uint64_t longest(void)
{
	unsigned limit = config_get()->spin_us;

	return limit == CONFIG_SPIN_MAX ? CLOCK_NEVER : limit * 1000ull;
}

/*
 * Threads of the program that wait on the same processor take turns there: while one polls in vain,
 * another one works on what has come for it, and the processor is lost to nobody. Each thread says
 * for how long it has had its turn, at the end of it; who has let the others have the processor
 * finds the sum. Hints, each read alone: a thread that is moved to another processor in its turn is
 * counted there.
 */
/*
 * As many as a set of processors of libc's has; of more than that some share a place, and take each
 * other's threads for their own. Only places of processors that are used take memory.
 */
#define PROCESSORS CPU_SETSIZE

static struct {
	_Alignas(64) _Atomic uint64_t ran, served; /* all turns, and those that were not in vain */
	_Atomic int yielding; /* threads that wait for their turn, by sched_yield(2) */
} processors[PROCESSORS];

/* No thread has ever waited on the processor of this number, or on those above. */
static _Atomic unsigned processors_used;

/*
 * A turn that takes longer counts as none: the thread computes, or has lost the processor to
 * somebody else. Some fifty requests to a memcached take so long.
 */
#define TURN_MAX_NS 250000u

/*
 * A thread whose waits all find something gives way when it begins the next one after so long: with
 * four threads as many requests wait for 150 us at most. A switch to another thread and back takes
 * 1 us. A thread that does not wait, because each recv(2) finds data, does not give way.
 */
#define TURN_NS 50000u

/* Of the thread: its turn, and what it has seen of the others'. */
static __thread struct {
	uint64_t began;			/* 0: it has none */
	bool served;			/* it has got what it waits for, in this turn */
	bool shares;			/* another thread has, when this one last gave way */
	unsigned seen_on;		/* the processor of what follows, and 1 more; 0: none */
	uint64_t ran_seen, served_seen; /* of its processor, at the last look */
	uint64_t shared; /* for how long others have served while this one waited, in all */
} turn;

static unsigned this_processor(void)
{
	return (unsigned)sched_getcpu() % PROCESSORS;
}

static void begin_turn(uint64_t now)
{
	turn.began = now;
	turn.served = false;
}

void spin_served_in_turn(void)
{
	turn.served = true;
}

static void end_turn(uint64_t now)
{
	const uint64_t duration = now - turn.began;
	const unsigned here = this_processor();

	if (!turn.began || duration > TURN_MAX_NS)
		return;
	atomic_fetch_add_explicit(&processors[here].ran, duration, memory_order_relaxed);
	if (turn.served)
		atomic_fetch_add_explicit(&processors[here].served, duration, memory_order_relaxed);
}

/*
 * For how long the program's other threads have had turns since the last look. What they have
 * served is added to what is shared, most at most.
 */
static uint64_t look_at_others(uint64_t most)
{
	const unsigned here = this_processor();
	const uint64_t ran = atomic_load_explicit(&processors[here].ran, memory_order_relaxed);
	const uint64_t all = atomic_load_explicit(&processors[here].served, memory_order_relaxed);
	const bool known = turn.seen_on == here + 1;
	const uint64_t others = known ? ran - turn.ran_seen : 0;
	const uint64_t shared = known ? all - turn.served_seen : 0;

	turn.seen_on = here + 1;
	turn.ran_seen = ran;
	turn.served_seen = all;
	turn.shared += shared < most ? shared : most;
	turn.shares = shared > 0;
	return others < most ? others : most;
}

/* Ends the turn before it looks at the others' turns, of which it is none. */
void spin_turn_ends(uint64_t now)
{
	end_turn(now);
	turn.began = 0;
	look_at_others(0);
}

uint64_t spin_shared(void)
{
	return turn.shared;
}

void spin_wait_begins(void)
{
	look_at_others(0);
}

void spin_turn_begins(uint64_t now)
{
	look_at_others(CLOCK_NEVER);
	begin_turn(now);
}

static void note_processor(unsigned here)
{
	unsigned used = atomic_load_explicit(&processors_used, memory_order_relaxed);

	while (used <= here && !atomic_compare_exchange_weak(&processors_used, &used, here + 1))
		;
}

/*
 * Lets others have the processor, after a look at that time. Returns for how long strangers have
 * had it.
 */
static uint64_t give_way(uint64_t now)
{
	const unsigned here = this_processor();
	uint64_t duration, others;

	note_processor(here);
	spin_turn_ends(now);
	atomic_fetch_add_explicit(&processors[here].yielding, 1, memory_order_relaxed);
	kernel_call(SYS_sched_yield, 0, 0, 0, 0);
	atomic_fetch_sub_explicit(&processors[here].yielding, 1, memory_order_relaxed);
	crowd.last_look = clock_monotonic();
	duration = crowd.last_look - now;
	others = look_at_others(duration);
	begin_turn(crowd.last_look);
	crowd.polled += others;
	crowd.next_yield = crowd.last_look + (turn.shares ? 0 : YIELD_NS);
	return duration - others;
}

/*
 * The waits of a signal handler may change the share in the middle of a change; what comes of that
 * is a share in any case.
 */
static __thread unsigned short_share = SHARE_ALL;

uint64_t spin_budget(uint64_t now)
{
	uint64_t limit = longest();

	if (limit == CLOCK_NEVER)
		return limit;
	if (short_share < SHARE_ENOUGH || spin_pauses(now))
		return 0;
	crowd.last_look = now;
	crowd.next_yield = now + (turn.shares ? 0 : YIELD_NS);
	return limit;
}

bool spin_pauses(uint64_t now)
{
	return now < crowd.not_before;
}

static void begin_anew(uint64_t pause)
{
	crowd.pause = pause;
	crowd.polled = 0;
	crowd.others = 0;
}

/* Others have had the processor for so long, until now. Returns whether that is too much. */
static bool note_others(uint64_t now, uint64_t duration)
{
	crowd.others += duration;
	if (crowd.others * SPIN_OTHERS_SHARE < crowd.polled + crowd.others)
		return false;
	if (crowd.pause > CROWDED_MAX_NS / 2)
		begin_anew(CROWDED_MAX_NS);
	else
		begin_anew(crowd.pause ? crowd.pause * 2 : CROWDED_NS);
	crowd.not_before = now + crowd.pause;
	return true;
}

static void note_polled(uint64_t duration)
{
	crowd.polled += duration;
	if (crowd.polled >= UNDISTURBED_NS)
		begin_anew(crowd.pause > CROWDED_NS ? crowd.pause / 2 : 0);
}

/*
 * The thread has not had the processor since its last look. Its turn has ended then, and another
 * one begins. Returns for how long strangers have had it.
 */
static uint64_t come_back(uint64_t last_look, uint64_t now)
{
	const uint64_t others = look_at_others(now - last_look);

	spin_turn_ends(last_look);
	begin_turn(now);
	crowd.polled += others;
	return now - last_look - others;
}

bool spin_is_crowded(uint64_t now)
{
	const uint64_t last_look = crowd.last_look, gap = now - last_look;
	uint64_t others;

	crowd.last_look = now;
	if (__builtin_expect(gap < PREEMPTED_NS, 1))
		note_polled(gap);
	if (__builtin_expect(now < crowd.next_yield, 1) || longest() == CLOCK_NEVER)
		return false;
	if (gap >= PREEMPTED_NS) {
		others = come_back(last_look, now);
		return others > 0 && note_others(now, others);
	}
	others = give_way(now);
	return others >= SWITCHED_NS && note_others(crowd.last_look, others);
}

void spin_give_way(void)
{
	uint64_t now, others;

	/* Less than one: a handler has forked while its thread waited for its turn. */
	if (__builtin_expect(atomic_load_explicit(&processors[this_processor()].yielding,
						  memory_order_relaxed) <= 0,
			     1) ||
	    longest() == CLOCK_NEVER)
		return;
	now = clock_monotonic();
	if (!turn.began)
		begin_turn(now);
	/* One that does not poll at the moment is in nobody's way: it sleeps, or has work to do. */
	if (now - turn.began < TURN_NS || spin_pauses(now))
		return;
	others = give_way(now);
	if (others >= SWITCHED_NS)
		note_others(crowd.last_look, others);
}

void spin_forked(void)
{
	const unsigned used = atomic_load(&processors_used);

	for (unsigned i = 0; i < used; i++)
		if (atomic_load(&processors[i].yielding))
			atomic_store(&processors[i].yielding, 0);
}

/*
 * How many messages there are to a sleep, in 1/16: a moving average, of which the last sleep is an
 * eighth. It begins high, so that a thread has slept some 16 times before it is said to sleep each
 * time.
 */
#define SERVED_ONE    16
#define SERVED_BEGINS (16 * SERVED_ONE)
#define SERVED_FEW    (SPIN_MESSAGES_FEW * SERVED_ONE)

static __thread unsigned served, served_average = SERVED_BEGINS;

void spin_slept(void)
{
	const unsigned last = served < UINT16_MAX ? served : UINT16_MAX;

	/* The sleep before has ended for something else: the message is still to come. */
	if (!served)
		return;
	served = 0;
	served_average = (served_average * (WEIGHT - 1) + last * SERVED_ONE) / WEIGHT;
}

bool spin_served(void)
{
	served++;
	return served_average < SERVED_FEW;
}

/*
 * A thread with many requests under way at a time naps when it finds nothing, as network cards hold
 * back their interrupts: meanwhile several come, which then cost less each than one by one between
 * looks in vain. With the kernel's slack for timers (prctl(2), PR_SET_TIMERSLACK) it takes 70 us.
 */
#define NAP_NS 20000u

/* So many messages come between two of one connection: their peers have enough to do meanwhile. */
#define NAP_APART 24

/*
 * Naps that bring fewer messages, in a moving average of which the last one is a quarter, do not
 * pay. The next one is taken after so long, and twice as long if that does not pay either.
 */
#define NAP_FEW	      3
#define NAP_WEIGHT    4
#define NAP_PAUSE_NS  10000000u
#define NAP_PAUSE_MAX 1000000000u

/*
 * Who waits for answers must not have to wait for naps: for a short time the thread takes none, for
 * a long one it does, and it does not go on if it has got this part fewer messages by the second.
 * The short time is a noisy measure: with an eighth a redis that was served well gave up often.
 */
#define NAP_AWAKE_NS 2000000u
#define NAP_PHASE_NS 20000000u
#define NAP_LOSS     4

#define MESSAGE_ONE 16
#define APART_MAX   64

/*
 * A nap may take far longer: a process may have a larger slack (TimerSlackNSec= of systemd). Where
 * others want the processor now and then some hundredth of the naps does, so that one tells
 * nothing. After so many in a row the thread pauses for a second at least, and for twice as long
 * when the first nap after that is late as well.
 */
#define NAP_LATE_NS	   300000u
#define NAP_LATE_OFTEN	   3
#define NAP_LATE_PAUSE_MAX 64000000000u

static __thread struct {
	uint32_t messages; /* in all */
	uint32_t before;   /* how many there were at the last nap */
	unsigned apart;	   /* messages from one of a connection to its next, in 1/16: an average */
	uint32_t brought;  /* messages of a nap, in 1/16: an average; 0: none has been taken */
	bool has_napped;   /* and what it has brought is not known yet */
	bool naps;	   /* in this phase */
	uint32_t phase_messages; /* in all, when the phase began */
	uint64_t phase_began, awake_rate;
	uint64_t not_before, pause;
	uint64_t nap_began;
	unsigned late; /* naps in a row that took too long */
	uint32_t mark; /* the thread's number, in the upper bits; 0: it has none yet */
} nap;

/*
 * What is kept for a connection: the number of a message of the thread's, in these bits, and above
 * them the number of the thread, which is not 0. Numbers of threads come again after 4095.
 */
#define MESSAGE_BITS 20
#define MESSAGE_MASK ((1u << MESSAGE_BITS) - 1)
#define THREADS_MAX  ((1u << (32 - MESSAGE_BITS)) - 1)

static uint32_t thread_mark(void)
{
	static _Atomic uint32_t threads;

	if (__builtin_expect(!nap.mark, 0))
		nap.mark = (atomic_fetch_add(&threads, 1) % THREADS_MAX + 1) << MESSAGE_BITS;
	return nap.mark;
}

void spin_message_of(uint32_t *last)
{
	const uint32_t before = *last, mark = thread_mark();
	uint32_t apart = (++nap.messages - before) & MESSAGE_MASK;

	*last = mark | (nap.messages & MESSAGE_MASK);
	/* What another thread has counted says nothing of this one's messages. */
	if ((before & ~MESSAGE_MASK) != mark)
		return;
	if (apart > APART_MAX)
		apart = APART_MAX;
	nap.apart = nap.apart - nap.apart / WEIGHT + apart * MESSAGE_ONE / WEIGHT;
}

static void begin_phase(uint64_t now, bool naps)
{
	nap.naps = naps;
	nap.phase_began = now;
	nap.phase_messages = nap.messages;
}

/* The next one is taken after nap.pause. */
static void pause_naps(uint64_t now)
{
	begin_phase(now, false);
	nap.has_napped = false;
	nap.not_before = now + nap.pause;
	nap.brought = 0;
}

static void naps_do_not_pay(uint64_t now)
{
	if (nap.pause == 0)
		nap.pause = NAP_PAUSE_NS;
	else /* late naps have made it longer, and this one was not late */
		nap.pause = nap.pause < NAP_PAUSE_MAX ? nap.pause * 2 : NAP_PAUSE_MAX;
	pause_naps(now);
}

/* Looks at what the last nap has brought, whose messages have come by now. False: too little. */
static bool naps_pay(uint64_t now)
{
	const uint32_t brought = nap.messages - nap.before;

	if (!nap.has_napped)
		return true;
	nap.has_napped = false;
	/* The first one after a pause is judged alone. */
	if (nap.brought == 0)
		nap.brought = brought * MESSAGE_ONE;
	else
		nap.brought += (brought * MESSAGE_ONE) / NAP_WEIGHT - nap.brought / NAP_WEIGHT;
	if (nap.brought < NAP_FEW * MESSAGE_ONE) {
		naps_do_not_pay(now);
		return false;
	}
	return true;
}

/* Messages in a second, in this phase. */
static uint64_t phase_rate(uint64_t now)
{
	return (nap.messages - nap.phase_messages) * 1000000000ull / (now - nap.phase_began);
}

static void end_phase(uint64_t now)
{
	const uint64_t rate = phase_rate(now);

	if (!nap.naps) {
		nap.awake_rate = rate;
		begin_phase(now, true);
	} else if (rate < nap.awake_rate - nap.awake_rate / NAP_LOSS) {
		naps_do_not_pay(now);
	} else {
		nap.pause = 0;
		begin_phase(now, false);
	}
}

uint64_t spin_nap(uint64_t now)
{
	if (nap.apart < NAP_APART * MESSAGE_ONE || now < nap.not_before || !naps_pay(now) ||
	    longest() == CLOCK_NEVER)
		return CLOCK_NEVER;
	if (now - nap.phase_began >= (nap.naps ? NAP_PHASE_NS : NAP_AWAKE_NS))
		end_phase(now);
	if (!nap.naps)
		return CLOCK_NEVER;
	nap.has_napped = true;
	nap.before = nap.messages;
	nap.nap_began = now;
	return now + NAP_NS;
}

void spin_nap_ends(uint64_t now)
{
	if (now - nap.nap_began <= NAP_LATE_NS) {
		nap.late = 0;
		return;
	}
	if (++nap.late < NAP_LATE_OFTEN)
		return;
	nap.late = NAP_LATE_OFTEN - 1; /* after the pause one is enough */
	if (nap.pause < NAP_PAUSE_MAX)
		nap.pause = NAP_PAUSE_MAX;
	else if (nap.pause < NAP_LATE_PAUSE_MAX)
		nap.pause *= 2;
	pause_naps(now);
}

void spin_learn(uint64_t nanoseconds)
{
	unsigned before = short_share;

	/* Rounded up, so that the share gets to 0 and to SHARE_ALL. */
	if (nanoseconds <= longest())
		short_share = before + (SHARE_ALL - before + WEIGHT - 1) / WEIGHT;
	else
		short_share = before - (before + WEIGHT - 1) / WEIGHT;
}

void spin_timed_out(uint64_t nanoseconds)
{
	if (nanoseconds > longest())
		spin_learn(nanoseconds);
}
