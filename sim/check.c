/*
 * check.c
 *		What must be true in every schedule, stated without the core's help.
 *
 * The world tells its observers what happens at the moment it happens.  The rules of promotion
 * are restated here from what the node was told (its own record of outcomes,
 * kept apart from the core's), from the world as it is, and from the settings;
 * nothing in here calls a decision of the core.  The names of the invariants
 * are those that the table of mutations prints:
 *
 *	promotion	a node promoted that may not (conditions of a failover)
 *	unposted	a node leads again that had not finished its promotion when it went down
 *	two gates	two servers that see each other both accept commits
 *	gate		a gate open before the first decision, or against a greater claim
 *	history		WAL streamed onto, or about to be onto, another history
 *	timeline	a timeline id created twice
 *	term		not raised, or not durable, before a promotion
 *	loss		an acknowledged commit lost that synchronous replication protects
 *	transition	a change of state that the table of states does not list
 *	fencing		two servers accept commits, though the one had the other's instance stopped,
 *				or should have had
 *	no WAL		a node that has not the WAL it begins with does more than to follow
 *	stuck		no single working primary in time after healing (fault.c)
 */
#include "check.h"
#include "heir_check.h"

#include "trace.h"
#include "two_gates.h"
#include "wal.h"

#include <stdarg.h>

void
sim_violation(SimWorld *world, const char *invariant, const char *format,...)
{
	va_list		args;

	if (world->violation[0] != '\0')
		return;
	snprintf(world->invariant, sizeof(world->invariant), "%s", invariant);
	va_start(args, format);
	vsnprintf(world->violation, sizeof(world->violation), format, args);
	va_end(args);
	sim_trace(world, -1, "VIOLATION of %s: %s", invariant, world->violation);
}

static pgha_time
later(pgha_time a, pgha_time b)
{
	return a > b ? a : b;
}

static const char *
name_of(const SimWorld *world, int node)
{
	return world->node[node].settings.name[node];
}

static int
member_named(const SimWorld *world, const char *name)
{
	for (int i = 0; i < world->count; i++)
		if (strcmp(name_of(world, i), name) == 0)
			return i;
	return PGHA_NOBODY;
}

/* Orders claims as protocol.md, 10.1 does. */
static int
compare(const PghaClaim *a, const PghaClaim *b)
{
	if (a->term != b->term)
		return a->term > b->term ? 1 : -1;
	if (a->fork_lsn != b->fork_lsn)
		return a->fork_lsn > b->fork_lsn ? 1 : -1;
	return strcmp(a->leader, b->leader);
}

/* ---- what a node was told ---- */

static void
check_monitor_start(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	memset(n->seen, 0, sizeof(n->seen));
	n->awake_at = world->now;
	n->lost_at = world->now;
	n->missed_at = 0;
	n->told_end = 0;
	memset(&n->told_end_of, 0, sizeof(n->told_end_of));
	n->judged.valid = false;
}

/* A sleep that is long enough to be noticed starts all clocks again. */
static void
check_thaw(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (world->now - n->frozen_at >= n->settings.failure_timeout / 2)
		n->awake_at = world->now;
}

static void
check_receiver_ended(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->lost_at = world->now - n->heard < n->settings.failure_timeout ?
		world->now : n->heard + n->settings.failure_timeout;
}

static void
check_server_ended(SimWorld *world, int node)
{
	world->node[node].judged.fenced = false;
}

/* What it was told of the synchronous standbys of the leader with this claim, or NULL. */
static SimToldSync *
told_sync(SimNode *n, const PghaClaim *claim)
{
	for (int i = 0; i < 2; i++)
		if (compare(&n->told_sync[i].of, claim) == 0)
			return &n->told_sync[i];
	return NULL;
}

/*
 * The same, or room for it: what is neither of the leader it follows nor the
 * latest is forgotten.
 */
static SimToldSync *
keep_told_sync(SimNode *n, const PghaClaim *claim)
{
	SimToldSync *kept = told_sync(n, claim);

	if (kept != NULL)
		return kept;
	kept = told_sync(n, &n->core.durable.claim) == &n->told_sync[0] ? &n->told_sync[1] : &n->told_sync[0];
	memset(kept, 0, sizeof(*kept));
	return kept;
}

static bool
is_primary_report(const SimNode *n, const PghaReport *report)
{
	return !report->in_recovery && report->system_identifier == n->settings.system_identifier;
}

static void
check_outcome(SimWorld *world, int node, int member, pgha_time asked,
			  PghaContact contact, const PghaReport *report)
{
	SimNode    *n = &world->node[node];
	SimSeen    *seen = &n->seen[member];

	if (!n->monitor)
		return;
	if (!seen->any || seen->contact != contact)
		seen->contact_since = world->now;
	seen->any = true;
	seen->contact = contact;
	if (contact == PGHA_CONTACT_UNLEARNT)
	{
		seen->unlearnt = world->now;
		return;
	}
	seen->asked = asked;
	if (contact == PGHA_CONTACT_ANSWERED || contact == PGHA_CONTACT_ERROR ||
		contact == PGHA_CONTACT_STARTING)
	{
		seen->alive = world->now;
		seen->answered = asked;
	}
	if (contact != PGHA_CONTACT_ANSWERED)
		return;
	seen->report = *report;
	if (member == node || !is_primary_report(n, report))
		return;
	seen->was_primary = true;

	/* The leader's synchronous standbys, as it last reported them. */
	if (strcmp(report->claim.leader, name_of(world, member)) == 0 &&
		compare(&report->claim, &n->core.durable.claim) >= 0)
	{
		SimToldSync *told = keep_told_sync(n, &report->claim);
		uint32_t	current = report->sync.current;

		if (report->sync.method == PGHA_SYNC_FIRST && current == 0 &&
			compare(&told->of, &report->claim) == 0)
			current = told->sync.current;
		else
			told->at = asked;
		told->sync = report->sync;
		told->sync.current = current;
		told->of = report->claim;
	}
}

/* How far the leader is, as far as the node was told. */
static void
update_told_end(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	const PghaClaim *claim = &n->core.durable.claim;
	int			leader = member_named(world, claim->leader);

	if (compare(&n->told_end_of, claim) != 0)
	{
		n->told_end_of = *claim;
		n->told_end = 0;
	}
	if (leader == PGHA_NOBODY || leader == node)
		return;
	if (n->receiver == PGHA_RECEIVER_STREAMING && n->upstream == leader && n->told_end < n->upstream_end)
		n->told_end = n->upstream_end;
	if (n->seen[leader].was_primary && !n->seen[leader].report.in_recovery &&
		compare(&n->seen[leader].report.claim, claim) == 0 &&
		n->told_end < n->seen[leader].report.wal_end)
		n->told_end = n->seen[leader].report.wal_end;
}

/* ---- promotion ---- */

/* When did this node last stop hearing its upstream in-band? */
static pgha_time
loss_of_receiver(const SimNode *n)
{
	pgha_time	lost = n->lost_at;

	if (n->receiver == PGHA_RECEIVER_STREAMING)
		lost = n->heard + n->settings.failure_timeout;
	if (n->missed_at != 0 && n->missed_at < lost)
		lost = n->missed_at;
	return later(lost, n->awake_at);
}

static bool
fresh(const SimSeen *seen, pgha_time lost)
{
	return seen->any && seen->asked >= lost;
}

static pgha_time
lasting(const SimWorld *world, const SimNode *n, pgha_time since)
{
	return world->now - later(since, n->awake_at);
}

/* A report that counts, of a request sent since `lost`. */
static const PghaReport *
fresh_report(const SimNode *n, int member, pgha_time lost)
{
	const SimSeen *seen = &n->seen[member];

	if (!fresh(seen, lost) || seen->contact != PGHA_CONTACT_ANSWERED ||
		seen->report.system_identifier != n->settings.system_identifier)
		return NULL;
	return &seen->report;
}

/* A promotion that failed for good stands for nothing. */
static bool
is_void(const PghaReport *report)
{
	return report->diverged && report->claim.fork_lsn == 0 && report->claim.term > 1;
}

/* The conditions that no promotion but an administrator's may ignore. */
static void
judge_node(SimWorld *world, int node, bool returning)
{
	SimNode    *n = &world->node[node];
	const char *self = name_of(world, node);

	if (n->replayed < n->nwal)
		sim_violation(world, "promotion", "%s promotes before its WAL is replayed", self);
	if (n->passive != PGHA_ACTIVE)
		sim_violation(world, "promotion", "%s promotes: %s", self, pgha_passive_text(n->passive));
	if (n->before.diverged || n->before.fenced)
		sim_violation(world, "promotion", "%s promotes, %s", self,
					  n->before.diverged ? "diverged" : "fenced");
	if (n->before.claim.term == 0 && !returning)
		sim_violation(world, "promotion", "%s promotes and never followed anybody", self);
	if (returning)
		return;
	if (n->settings.priority == 0)
		sim_violation(world, "promotion", "%s promotes at priority 0", self);
	if (n->core.durable.paused)
		sim_violation(world, "promotion", "%s promotes while paused", self);
	if (!n->settings.auto_failover)
		sim_violation(world, "promotion", "%s promotes with auto_failover = off", self);
	if (n->apply_delay)
		sim_violation(world, "promotion", "%s promotes with an apply delay", self);
	if (n->too_low)
		sim_violation(world, "promotion", "%s promotes with settings that are too low", self);
	if (n->told_end > sim_end_of_history(world, node) &&
		n->told_end - sim_end_of_history(world, node) > n->settings.max_failover_lag)
		sim_violation(world, "promotion", "%s promotes at %s, the primary was at %s", self,
					  sim_lsn(sim_end(world, node)), sim_lsn(n->told_end));
}

/* Was the instance of the node stopped, so that it is off for sure? */
static bool
is_stopped(const SimWorld *world, int node)
{
	return world->node[node].phase == SIM_DOWN && world->now < world->node[node].off_until;
}

/* Does what the node was told of the primary say that it is gone? */
static void
judge_primary(SimWorld *world, int node, int leader, pgha_time lost)
{
	SimNode    *n = &world->node[node];
	const SimSeen *seen;
	const char *self = name_of(world, node);
	const char *primary;
	pgha_time	failure = n->settings.failure_timeout;
	pgha_time	grace = n->settings.startup_grace;
	bool		silent;

	if (n->receiver == PGHA_RECEIVER_STREAMING && lasting(world, n, n->heard) < failure)
		sim_violation(world, "promotion", "%s promotes while it hears %s in-band", self,
					  name_of(world, n->upstream));
	for (int j = 0; j < world->count; j++)
	{
		const SimSeen *other = &n->seen[j];

		if (j != node && other->any && other->contact == PGHA_CONTACT_ANSWERED &&
			is_primary_report(n, &other->report) && other->report.posted &&
			compare(&other->report.claim, &n->before.claim) >= 0 &&
			lasting(world, n, other->alive) < failure)
			sim_violation(world, "promotion", "%s promotes while %s answers as a primary", self,
						  name_of(world, j));
	}
	if (leader == PGHA_NOBODY || leader == node)
	{
		if (lasting(world, n, n->awake_at) < grace)
			sim_violation(world, "promotion", "%s promotes without startup_grace", self);
		for (int j = 0; j < world->count && n->settings.fence && leader == node; j++)
			if (j != node && (!fresh(&n->seen[j], n->awake_at) ||
							  (n->seen[j].contact != PGHA_CONTACT_ANSWERED && n->seen[j].contact != PGHA_CONTACT_REFUSED)))
				sim_violation(world, "fencing", "%s promotes, %s may have taken over", self, name_of(world, j));
		return;
	}
	seen = &n->seen[leader];
	primary = name_of(world, leader);
	silent = lasting(world, n, later(seen->alive, seen->unlearnt)) >= failure;

	if (fresh_report(n, leader, lost) != NULL)
	{
		/* It may have gone silent after that answer, and the next request hang. */
		if (!seen->report.in_recovery && !silent)
			sim_violation(world, "promotion", "%s promotes while %s answers", self, primary);
		else if (seen->report.in_recovery && seen->report.role == PGHA_ROLE_PRIMARY &&
				 lasting(world, n, seen->contact_since) < grace)
			sim_violation(world, "promotion", "%s promotes while %s returns", self, primary);
		return;
	}
	if (seen->any && seen->contact == PGHA_CONTACT_ERROR && !silent)
		sim_violation(world, "promotion", "%s promotes while %s answers with an error", self, primary);
	if (seen->any && seen->contact == PGHA_CONTACT_STARTING && seen->asked >= lost)
	{
		if (lasting(world, n, seen->contact_since) < grace && !silent)
			sim_violation(world, "promotion", "%s promotes while %s starts", self, primary);
		return;
	}
	if (!seen->was_primary)
	{
		if (lasting(world, n, n->awake_at) < grace)
			sim_violation(world, "promotion", "%s promotes soon after its start, %s being away", self,
						  primary);
		return;
	}
	if (fresh(seen, lost) && seen->contact == PGHA_CONTACT_REFUSED)
	{
		if (n->ended_clean && lasting(world, n, seen->contact_since) < failure)
			sim_violation(world, "promotion", "%s promotes at once after a clean stop of %s", self, primary);

		/* Something on the way may refuse in its place: it must last, or the stream have ended. */
		if (lasting(world, n, seen->contact_since) < (failure < SECOND ? failure : SECOND) &&
			(n->receiver == PGHA_RECEIVER_STREAMING || seen->answered >= n->lost_at))
			sim_violation(world, "promotion", "%s promotes as soon as %s refuses a connection", self, primary);
		return;
	}

	/* One whose instance was stopped need not be waited for: it was, before that. */
	if (!silent && !is_stopped(world, leader))
		sim_violation(world, "promotion", "%s promotes, %s not being silent for long enough", self, primary);
}

/*
 * With pgha.fence: unless it is known that the old primary acknowledges nothing
 * any more, its instance must be off now.
 */
static void
judge_fencing(SimWorld *world, int node, int leader, pgha_time lost)
{
	SimNode    *n = &world->node[node];
	const SimSeen *seen = &n->seen[leader];
	const SimToldSync *told = told_sync(n, &n->before.claim);
	bool		is_quorum = told != NULL && told->sync.method == PGHA_SYNC_ANY;
	bool		demoted = fresh_report(n, leader, lost) != NULL && seen->report.in_recovery;
	bool		let_go = is_primary_report(n, &seen->report) && seen->report.released == n->before.claim.term;

	if (!n->settings.fence || is_quorum || demoted || let_go || (n->ended_clean && seen->alive <= lost))
		return;
	if (!is_stopped(world, leader) && !(world->node[leader].phase == SIM_DOWN && world->node[leader].host_down))
		sim_violation(world, "fencing", "%s promotes, the instance of %s is not stopped",
					  name_of(world, node), name_of(world, leader));
	n->judged.fenced = true;
}

/* Of two that are equally far: the greater priority, then the lesser name. */
static bool
precedes(const SimNode *n, const PghaReport *report)
{
	if (report->priority != n->settings.priority)
		return report->priority > n->settings.priority;
	return strcmp(report->node, n->settings.name[n->settings.self]) < 0;
}

static void
judge_members(SimWorld *world, int node, int leader, pgha_time lost, bool returning)
{
	SimNode    *n = &world->node[node];
	const char *self = name_of(world, node);
	pgha_lsn	end = sim_end_of_history(world, node);
	uint32_t	me = UINT32_C(1) << node;
	const SimToldSync *told = told_sync(n, &n->before.claim);
	const PghaReport *former = leader == PGHA_NOBODY ? NULL : fresh_report(n, leader, lost);
	PghaSync	sync = {0};
	int			sure = 1;

	if (told != NULL)
		sync = told->sync;
	for (int j = 0; j < world->count; j++)
	{
		const SimSeen *seen = &n->seen[j];
		const PghaReport *report = fresh_report(n, j, lost);

		if (j == node)
			continue;
		if (report == NULL)
		{
			if ((!fresh(seen, lost) || seen->contact == PGHA_CONTACT_UNLEARNT) && j != leader &&
				lasting(world, n, later(seen->alive, seen->unlearnt)) < n->settings.failure_timeout &&
				lasting(world, n, seen->alive) < n->settings.startup_grace)
				sim_violation(world, "promotion", "%s promotes without asking %s since the loss", self,
							  name_of(world, j));
			continue;
		}
		if (report->receiver == PGHA_RECEIVER_STREAMING && leader != PGHA_NOBODY && leader != node &&
			j != leader && strcmp(report->upstream, name_of(world, leader)) == 0 &&
			report->receiver_age < n->settings.failure_timeout &&
			(former == NULL || !former->in_recovery))
			sim_violation(world, "promotion", "%s promotes while %s receives from %s", self,
						  name_of(world, j), name_of(world, leader));
		if (report->in_recovery && report->claim.term > n->before.claim.term &&
			report->claim.fork_lsn != 0)
			sim_violation(world, "promotion", "%s promotes though %s has followed a later leader", self,
						  name_of(world, j));
		if (report->in_recovery && (report->fenced || report->diverged) && !is_void(report) &&
			!(report->own_wal && !report->fenced && compare(&report->claim, &n->before.claim) == 0) &&
			compare(&report->claim, &n->before.claim) >= 0 &&
			lasting(world, n, lost) < n->settings.startup_grace)
			sim_violation(world, "promotion", "%s promotes though %s knows a later leader", self,
						  name_of(world, j));
		if (report->in_recovery &&
			(report->bar == PGHA_MAY_PROMOTE || report->bar == PGHA_BAR_PAUSED ||
			 report->bar == PGHA_BAR_STARTED_LATE) &&
			(report->claim.term > n->before.claim.term ||
			 (report->claim.term == n->before.claim.term &&
			  (report->wal_end > end ||
			   (report->wal_end == end && report->bar != PGHA_BAR_STARTED_LATE &&
				(returning ? report->role == PGHA_ROLE_PRIMARY && precedes(n, report) :
				 report->role == PGHA_ROLE_PRIMARY || precedes(n, report)))))))
			sim_violation(world, "promotion", "%s promotes though %s is better", self, name_of(world, j));
		if (report->in_recovery && report->claim.term == n->before.claim.term &&
			!report->diverged && !report->fenced && report->bar != PGHA_BAR_REPLAYING &&
			(sync.listed & (UINT32_C(1) << j)) != 0)
		{
			sure++;
			if (sync.method == PGHA_SYNC_ANY && report->wal_end > end && !returning)
				sim_violation(world, "promotion", "%s promotes, %s may hold acknowledged commits", self,
							  name_of(world, j));
		}
	}
	if (returning)
		return;
	if (sync.method != PGHA_SYNC_NONE && (sync.listed & me) == 0)
		sim_violation(world, "promotion", "%s promotes and is not in synchronous_standby_names", self);
	if (sync.method == PGHA_SYNC_FIRST && (sync.current & me) == 0)
		sim_violation(world, "promotion", "%s promotes and was not synchronous", self);
	if (sync.method == PGHA_SYNC_ANY && sure < sync.num_listed - sync.num_sync + 1)
		sim_violation(world, "promotion", "%s promotes, %d listed standbys answered, %d are needed", self,
					  sure, sync.num_listed - sync.num_sync + 1);
	n->judged.sync = sync;
	n->judged.told_at = told != NULL ? told->at : 0;
}

/* The core has just decided to promote. */
static void
judge_promotion(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			leader = member_named(world, n->before.claim.leader);
	pgha_time	lost = loss_of_receiver(n);
	bool		returning = n->before.role == PGHA_ROLE_PRIMARY;
	const char *fault;

	memset(&n->judged, 0, sizeof(n->judged));
	n->judged.claim = n->before.claim;
	n->judged.leader = leader;
	n->judged.lost_at = lost;
	n->judged.max_term = n->before.claim.term;
	for (int j = 0; j < world->count; j++)
		if (j != node && n->seen[j].report.system_identifier == n->settings.system_identifier &&
			n->judged.max_term < n->seen[j].report.claim.term)
			n->judged.max_term = n->seen[j].report.claim.term;
	n->by_hand_lead = n->by_hand;
	if (n->by_hand)
		return;
	if (sim_judge_heir(world, node, leader, &fault))
	{
		if (fault != NULL)
			sim_violation(world, "handed over", "%s promotes, and %s %s", name_of(world, node), name_of(world, leader), fault);
		return;
	}
	n->judged.returning = returning;
	judge_node(world, node, returning);
	if (returning)
	{
		bool		all = true;

		/* What it led by before must have been followed: others may have led, and acknowledged, since. */
		if (n->before.claim.term > 1 && n->before.claim.fork_lsn == 0)
			sim_violation(world, "unposted", "%s leads again by a claim that it never led by", name_of(world, node));
		lost = n->awake_at;
		for (int j = 0; j < world->count; j++)
		{
			if (j == node)
				continue;
			if (fresh_report(n, j, lost) == NULL)
				all = false;
			else if (!is_void(&n->seen[j].report) &&
					 compare(&n->seen[j].report.claim, &n->before.claim) > 0)
				sim_violation(world, "promotion", "%s leads again, %s has a greater claim",
							  name_of(world, node), name_of(world, j));
		}
		if (!all && lasting(world, n, n->awake_at) < n->settings.startup_grace)
			sim_violation(world, "promotion", "%s leads again before startup_grace", name_of(world, node));
	}
	else
	{
		judge_primary(world, node, leader, lost);
		if (leader != PGHA_NOBODY && leader != node)
			judge_fencing(world, node, leader, lost);
	}
	judge_members(world, node, leader, lost, returning);
	n->judged.valid = !returning;
}

/* ---- around each step ---- */

static void
check_before_step(SimWorld *world, int node, const PghaEvent *event)
{
	SimNode    *n = &world->node[node];

	update_told_end(world, node);
	if (n->receiver == PGHA_RECEIVER_STREAMING &&
		world->now - later(n->heard, n->awake_at) < n->settings.failure_timeout)
		n->missed_at = 0;
	else if (n->missed_at == 0)
		n->missed_at = world->now;
	n->stepped_at = world->now;
	n->before = n->core.durable;
	n->by_hand = event->type == PGHA_EV_PROMOTE;
}

static void
check_after_step(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	const PghaClaim *own = &n->core.durable.claim;

	for (int i = 0; i < n->core.entered_count; i++)
	{
		PghaState	from = i == 0 ? n->state_before : n->core.entered[i - 1];
		PghaState	to = n->core.entered[i];

		world->transition[from][to]++;
		if (!pgha_transition_allowed(from, to))
			sim_violation(world, "transition", "%s went from %s to %s", name_of(world, node),
						  pgha_state_name(from), pgha_state_name(to));
	}
	if (n->no_wal && n->core.state != PGHA_STARTING && n->core.state != PGHA_STANDBY &&
		n->core.state != PGHA_DIVERGED && n->core.state != PGHA_PASSIVE)
		sim_violation(world, "no WAL", "%s is %s, and has not the WAL that it begins with", name_of(world, node),
					  pgha_state_name(n->core.state));
	if (n->core.state == PGHA_PROMOTING && n->state_before != PGHA_PROMOTING)
		judge_promotion(world, node);
	if (n->core.gate_open && n->in_recovery)
		sim_violation(world, "gate", "%s has its gate open in recovery", name_of(world, node));
	if (!n->core.gate_open)
		return;
	for (int j = 0; j < world->count; j++)
	{
		const PghaReport *report = &n->seen[j].report;

		if (j == node || n->seen[j].contact != PGHA_CONTACT_ANSWERED || is_void(report) ||
			report->system_identifier != n->settings.system_identifier)
			continue;
		if (report->claim.term > own->term ||
			(is_primary_report(n, report) && report->posted && compare(&report->claim, own) > 0))
			sim_violation(world, "gate", "%s keeps its gate open, %s has a greater claim",
						  name_of(world, node), name_of(world, j));
	}
}

static void
check_gate_opened(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->state_before == PGHA_PROMOTING)
		return;					/* the decision was made before */
	if (sim_clock(world, node) >= n->gate_deadline || n->awake_at > n->stepped_at)
		return;					/* ... it was stopped meanwhile, and nothing gets through after the deadline */
	for (int j = 0; j < world->count; j++)
	{
		if (j != node && (!n->seen[j].any || n->seen[j].asked < n->awake_at) &&
			(n->seen[j].contact != PGHA_CONTACT_UNLEARNT ||
			 lasting(world, n, n->awake_at) < n->settings.startup_grace))
			sim_violation(world, "gate", "%s opens its gate before %s was asked",
						  name_of(world, node), name_of(world, j));
	}
}

static void
check_promote(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	const char *self = name_of(world, node);

	if (n->disk.role != PGHA_ROLE_PRIMARY || strcmp(n->disk.claim.leader, self) != 0 ||
		n->disk.claim.term != n->core.durable.claim.term)
		sim_violation(world, "term", "%s promotes before its claim is durable", self);
	if (n->judged.returning)
	{
		/* Who took over unheard must have the greater claim. */
		if (n->disk.claim.term > n->judged.claim.term && n->disk.claim.term > 1)
			sim_violation(world, "term", "%s returns, and raises its term to %d", self, (int) n->disk.claim.term);
	}
	else if (n->disk.claim.term <= n->judged.max_term)
		sim_violation(world, "term", "%s promotes without raising term %d", self,
					  (int) n->judged.max_term);
	if (!n->receiver_stopped)
		sim_violation(world, "promotion", "%s promotes without stopping its receiver", self);
}

static void
check_new_timeline(SimWorld *world, int node, uint32_t timeline)
{
	SimNode    *n = &world->node[node];
	const SimNode *leader = n->judged.leader >= 0 ? &world->node[n->judged.leader] : NULL;

	/* What is promoted past pgha reserves none. */
	if (world->timeline[timeline].used && n->core.state == PGHA_PROMOTING)
		sim_violation(world, "timeline", "%s creates timeline %u, which %s has created",
					  name_of(world, node), timeline, name_of(world, world->timeline[timeline].creator));

	/* Which acknowledged commits does the new leader do without? */
	for (int c = 0; c < world->ncommit; c++)
	{
		SimCommit  *commit = &world->commit[c];
		const PghaSync *sync = &n->judged.sync;
		int			record;

		if (!commit->acknowledged || commit->lost)
			continue;
		record = commit->position < n->nwal ? n->wal[commit->position] : -1;
		if (record >= 0 && world->record[record].commit == c)
			continue;
		commit->lost = true;
		if (!n->judged.valid || leader == NULL || sync->method == PGHA_SYNC_NONE ||
			commit->writer != n->judged.leader || commit->term != n->judged.claim.term)
		{
			if (sync->method == PGHA_SYNC_NONE)
				world->lost_async++;
			else
				world->lost_other++;
			continue;
		}
		if (sync->num_sync >= sync->num_listed ||
			(sync->method == PGHA_SYNC_ANY && commit->acknowledged_at < n->judged.lost_at) ||
			(sync->method == PGHA_SYNC_FIRST && commit->acknowledged_at < n->judged.told_at))
			sim_violation(world, "loss", "%s leads without a commit that %s acknowledged at %.3f s",
						  name_of(world, node), name_of(world, commit->writer),
						  (double) commit->acknowledged_at / SECOND);
		else
			world->lost_other++;
	}
}

void
sim_check_stream(SimWorld *world, int node, int upstream)
{
	if (!sim_contains(world, upstream, node))
		sim_violation(world, "history", "%s streams from %s, whose history does not contain its WAL",
					  name_of(world, node), name_of(world, upstream));
}

/* ---- all the time ---- */

/* A client is told that its commit is done. */
static void
check_acknowledged(SimWorld *world, int node, int commit)
{
	const SimNode *n = &world->node[node];

	(void) commit;
	if (world->now - n->stepped_at > n->settings.failure_timeout)
		sim_violation(world, "gate", "%s acknowledges a commit, and its monitor has not looked for %.1f s",
					  name_of(world, node), (double) (world->now - n->stepped_at) / SECOND);
	for (int j = 0; j < world->count; j++)
	{
		const SimNode *other = &world->node[j];

		if (j == node || !sim_open_for_commits(world, j) || world->node[node].by_hand_lead || other->by_hand_lead)
			continue;
		if ((other->judged.fenced && other->judged.leader == node) ||
			(world->node[node].judged.fenced && world->node[node].judged.leader == j))
			sim_violation(world, "fencing", "%s acknowledges commits while %s does",
						  name_of(world, node), name_of(world, j));
	}
}

static void
check_look(SimWorld *world)
{
	int			one;
	int			other;

	if (sim_two_gates(world, &one, &other))
		sim_violation(world, "two gates", "%s and %s both accept commits and see each other",
					  name_of(world, one), name_of(world, other));
}

const SimObserver sim_checks = {
	.monitor_start = check_monitor_start,
	.thaw = check_thaw,
	.outcome = check_outcome,
	.before_step = check_before_step,
	.after_step = check_after_step,
	.promote = check_promote,
	.new_timeline = check_new_timeline,
	.stream = sim_check_stream,
	.receiver_ended = check_receiver_ended,
	.acknowledged = check_acknowledged,
	.gate_opened = check_gate_opened,
	.server_ended = check_server_ended,
	.look = check_look,
};
