/*
 * states.c
 *		The table of states and transitions, and the words for everything that
 *		pgha says of itself.
 */
#include "states.h"

static const PghaTransition transitions[] = {
	{PGHA_STARTING, PGHA_PRIMARY, "out of recovery, and no member holds a greater claim"},
	{PGHA_STARTING, PGHA_FENCING, "out of recovery, but a member holds a greater claim"},
	{PGHA_STARTING, PGHA_STANDBY, "in recovery"},
	{PGHA_STARTING, PGHA_RETURNING, "in recovery, and led when last running"},
	{PGHA_STARTING, PGHA_DIVERGED, "in recovery, known to be past the fork"},
	{PGHA_STARTING, PGHA_PASSIVE, "not to be managed"},
	{PGHA_STARTING, PGHA_WITNESS, "one of the witnesses"},

	{PGHA_PRIMARY, PGHA_FENCING, "a member holds a greater claim"},
	{PGHA_PRIMARY, PGHA_STARTING, "slept: asks the members again before it goes on"},
	{PGHA_PRIMARY, PGHA_PASSIVE, "another server has this node's name"},

	{PGHA_STANDBY, PGHA_CANDIDATE, "the primary is missing"},
	{PGHA_STANDBY, PGHA_DIVERGED, "the leader's history does not contain the WAL here"},
	{PGHA_STANDBY, PGHA_PROMOTING, "promoted by an administrator"},
	{PGHA_STANDBY, PGHA_RETURNING, "the greater claim that this former primary gave way to was taken back"},
	{PGHA_STANDBY, PGHA_STARTING, "out of recovery without pgha's doing"},
	{PGHA_STANDBY, PGHA_PASSIVE, "not to be managed"},

	{PGHA_CANDIDATE, PGHA_STANDBY, "the primary, or a new one, is there; or not allowed to promote"},
	{PGHA_CANDIDATE, PGHA_PROMOTING, "the best of those that answer, and nobody vetoes"},
	{PGHA_CANDIDATE, PGHA_STARTING, "out of recovery without pgha's doing"},
	{PGHA_CANDIDATE, PGHA_PASSIVE, "not to be managed"},

	{PGHA_RETURNING, PGHA_PROMOTING, "all members answered, or startup_grace passed, and no greater claim was heard of"},
	{PGHA_RETURNING, PGHA_STANDBY, "a member holds a greater claim"},
	{PGHA_RETURNING, PGHA_STARTING, "out of recovery without pgha's doing"},
	{PGHA_RETURNING, PGHA_PASSIVE, "not to be managed"},

	{PGHA_PROMOTING, PGHA_PRIMARY, "promoted onto the reserved timeline"},
	{PGHA_PROMOTING, PGHA_STANDBY, "given up before PostgreSQL was told to promote"},
	{PGHA_PROMOTING, PGHA_RETURNING, "given up, by a former primary"},
	{PGHA_PROMOTING, PGHA_FENCING, "promoted onto another timeline, or a greater claim was heard of"},

	{PGHA_DIVERGED, PGHA_STANDBY, "a leader's history contains the WAL here"},
	{PGHA_DIVERGED, PGHA_PROMOTING, "promoted by an administrator, by force"},
	{PGHA_DIVERGED, PGHA_STARTING, "out of recovery without pgha's doing"},
	{PGHA_DIVERGED, PGHA_PASSIVE, "not to be managed"},

	{PGHA_PASSIVE, PGHA_STARTING, "to be managed again"},
};

const PghaTransition *
pgha_transitions(int *count)
{
	*count = (int) (sizeof(transitions) / sizeof(transitions[0]));
	return transitions;
}

bool
pgha_transition_allowed(PghaState from, PghaState to)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++)
	{
		if (transitions[i].from == from && transitions[i].to == to)
			return true;
	}
	return from == to;
}

/* Looks a word up in a table; the tables are as long as their enums. */
#define WORD(table, value) \
	((size_t) (value) < sizeof(table) / sizeof((table)[0]) ? (table)[value] : "?")

const char *
pgha_state_name(PghaState state)
{
	static const char *const names[PGHA_STATE_COUNT] = {
		[PGHA_STARTING] = "starting",
		[PGHA_PRIMARY] = "primary",
		[PGHA_FENCING] = "fencing",
		[PGHA_STANDBY] = "standby",
		[PGHA_CANDIDATE] = "candidate",
		[PGHA_PROMOTING] = "promoting",
		[PGHA_RETURNING] = "returning",
		[PGHA_DIVERGED] = "diverged",
		[PGHA_PASSIVE] = "passive",
		[PGHA_WITNESS] = "witness",
	};

	return WORD(names, state);
}

const char *
pgha_role_name(PghaRole role)
{
	static const char *const names[] = {
		[PGHA_ROLE_NONE] = "none",
		[PGHA_ROLE_STANDBY] = "standby",
		[PGHA_ROLE_PRIMARY] = "primary",
	};

	return WORD(names, role);
}

const char *
pgha_receiver_name(PghaReceiver receiver)
{
	static const char *const names[] = {
		[PGHA_RECEIVER_NONE] = "none",
		[PGHA_RECEIVER_WAITING] = "waiting",
		[PGHA_RECEIVER_CONNECTING] = "connecting",
		[PGHA_RECEIVER_STREAMING] = "streaming",
	};

	return WORD(names, receiver);
}

const char *
pgha_contact_name(PghaContact contact)
{
	static const char *const names[] = {
		[PGHA_CONTACT_NEVER] = "not asked yet",
		[PGHA_CONTACT_ANSWERED] = "answers",
		[PGHA_CONTACT_REFUSED] = "connection refused",
		[PGHA_CONTACT_SILENT] = "no answer",
		[PGHA_CONTACT_STARTING] = "starting up or shutting down",
		[PGHA_CONTACT_ERROR] = "answers without a report",
		[PGHA_CONTACT_UNLEARNT] = "could not be asked",
	};

	return WORD(names, contact);
}

const char *
pgha_bar_text(PghaBar bar)
{
	static const char *const texts[] = {
		[PGHA_MAY_PROMOTE] = "may be promoted",
		[PGHA_BAR_PASSIVE] = "pgha does not manage this node",
		[PGHA_BAR_DIVERGED] = "has WAL that is not the leader's: it is past the fork of the leader's history",
		[PGHA_BAR_FENCED] = "gave up the lead (was fenced), and has not followed a leader since",
		[PGHA_BAR_REPLAYING] = "has not replayed all of its WAL yet",
		[PGHA_BAR_HELD_OFF] = "could not be promoted a moment ago",
		[PGHA_BAR_LEADER_REMOVED] = "the leader it followed last is not one of pgha.members",
		[PGHA_BAR_NEVER_FOLLOWED] = "has not followed a primary yet",
		[PGHA_BAR_BEHIND_FORK] = "has not reached the leader's timeline yet",
		[PGHA_BAR_TOO_LOW] = "max_connections or another such setting is lower than on the primary, so that PostgreSQL would not end recovery",
		[PGHA_BAR_PRIORITY] = "pgha.priority is 0",
		[PGHA_BAR_PAUSED] = "failover is paused",
		[PGHA_BAR_AUTO_FAILOVER] = "pgha.auto_failover is off",
		[PGHA_BAR_APPLY_DELAY] = "recovery_min_apply_delay is set",
		[PGHA_BAR_STARTED_LATE] = "has not met the primary since it started, and gives it pgha.startup_grace",
		[PGHA_BAR_LAG] = "further behind the primary than pgha.max_failover_lag",
		[PGHA_BAR_NOT_LISTED] = "not listed in the primary's synchronous_standby_names",
		[PGHA_BAR_FORGOT] = "does not know what it has voted in before: pgha.state is lost or new; it votes when all members have answered",
		[PGHA_BAR_NOT_SYNC] = "was not a synchronous standby when the primary was last heard",
	};

	return WORD(texts, bar);
}

const char *
pgha_passive_text(PghaPassive passive)
{
	static const char *const texts[] = {
		[PGHA_ACTIVE] = "managed",
		[PGHA_PASSIVE_RECOVERY_SIGNAL] = "recovery.signal is present: archive recovery is left alone",
		[PGHA_PASSIVE_RECOVERY_TARGET] = "a recovery target is set: recovery is left alone",
		[PGHA_PASSIVE_OTHER_SYSTEM] = "the other members belong to another database cluster (system identifiers differ)",
		[PGHA_PASSIVE_NAME_IN_USE] = "another running server answers at this node's address with this node's name",
	};

	return WORD(texts, passive);
}

const char *
pgha_action_name(PghaActionType type)
{
	static const char *const names[] = {
		[PGHA_ACT_POLL] = "poll",
		[PGHA_ACT_FETCH_HISTORY] = "fetch history",
		[PGHA_ACT_COMPARE_WAL] = "compare WAL",
		[PGHA_ACT_WRITE_STATE] = "write state",
		[PGHA_ACT_OPEN_GATE] = "open gate",
		[PGHA_ACT_CLOSE_GATE] = "close gate",
		[PGHA_ACT_SUSPEND_GATE] = "suspend gate",
		[PGHA_ACT_LEASE] = "lease",
		[PGHA_ACT_STOP_RECEIVER] = "stop receiver",
		[PGHA_ACT_RELEASE_RECEIVER] = "release receiver",
		[PGHA_ACT_FOLLOW] = "follow",
		[PGHA_ACT_UNFOLLOW] = "unfollow",
		[PGHA_ACT_STOP_OLD] = "stop old primary",
		[PGHA_ACT_FORGET_STOP] = "forget stop",
		[PGHA_ACT_PROMOTE] = "promote",
		[PGHA_ACT_FENCE] = "fence",
		[PGHA_ACT_BECOME_STANDBY] = "standby.signal",
		[PGHA_ACT_HAND_OVER] = "hand over",
		[PGHA_ACT_EVENT] = "event",
	};

	return WORD(names, type);
}

/* A kind for pgha_events(), and the sentence. */
static const struct
{
	const char *kind;
	const char *text;
}			reasons[PGHA_WHY_COUNT] = {
	[PGHA_WHY_NONE] = {"none", ""},
	[PGHA_WHY_STARTED] = {"start", "pgha started"},
	[PGHA_WHY_FIRST_PRIMARY] = {"lead", "leads for the first time: no member has a leader"},
	[PGHA_WHY_RESUMED] = {"lead", "leads again after a restart: no member knows of a later leader"},
	[PGHA_WHY_PROMOTED_BY_HAND] = {"lead", "leads: was promoted without pgha"},
	[PGHA_WHY_ASKING_MEMBERS] = {"wait", "asks the members before it accepts commits"},
	[PGHA_WHY_SLEPT] = {"slept", "this server was stopped for a while: asks the members before it goes on"},
	[PGHA_WHY_LEADING] = {"lead", "leads"},
	[PGHA_WHY_GREATER_CLAIM] = {"fence", "gives up: %s knows of a later leader"},
	[PGHA_WHY_FENCED] = {"fence", "gave up the lead (was fenced), and restarted as a standby"},
	[PGHA_WHY_NO_LEADER] = {"wait", "looks for a leader"},
	[PGHA_WHY_NO_CHECKPOINT] = {"stuck", "the WAL that recovery begins with is missing here: looks for a leader that has it"},
	[PGHA_WHY_CHECKING_HISTORY] = {"wait", "compares its WAL with the history of %s"},
	[PGHA_WHY_FOLLOWING] = {"follow", "follows %s"},
	[PGHA_WHY_DIVERGED] = {"diverged", "has WAL that %s does not have, and cannot follow it: needs a rewind or a clone (pgha recover)"},
	[PGHA_WHY_PRIMARY_CRASHED] = {"failover", "primary %s crashed: WAL stream lost, connection refused"},
	[PGHA_WHY_PRIMARY_STOPPED] = {"failover", "primary %s was shut down and did not come back"},
	[PGHA_WHY_PRIMARY_SILENT] = {"failover", "primary %s is silent"},
	[PGHA_WHY_PRIMARY_STARTING] = {"failover", "primary %s does not finish starting up or shutting down"},
	[PGHA_WHY_PRIMARY_DEMOTED] = {"failover", "former primary %s is a standby now"},
	[PGHA_WHY_PRIMARY_UNKNOWN] = {"failover", "no primary was heard of"},
	[PGHA_WHY_WAITING_PRIMARY] = {"wait", "waits for primary %s"},
	[PGHA_WHY_PRIMARY_ANSWERS] = {"wait", "primary %s answers"},
	[PGHA_WHY_WAITING_ANSWER] = {"wait", "waits for an answer of %s"},
	[PGHA_WHY_VETO] = {"wait", "%s still receives from the primary"},
	[PGHA_WHY_BETTER] = {"wait", "%s is further ahead, or preferred"},
	[PGHA_WHY_LATER_LEADER] = {"wait", "%s gave way to a later leader, which may come back"},
	[PGHA_WHY_QUORUM] = {"wait", "too few of the synchronous standbys answer to be sure of every commit"},
	[PGHA_WHY_BARRED] = {"wait", "the primary is missing, but this node may not be promoted"},
	[PGHA_WHY_RETURNING] = {"wait", "former primary: waits for news of a later leader"},
	[PGHA_WHY_NO_NEWS] = {"failover", "former primary: no member knows of a later leader"},
	[PGHA_WHY_BY_HAND] = {"promote", "an administrator called pgha_promote()"},
	[PGHA_WHY_STOPPING_OLD] = {"failover", "waits until the instance of %s is stopped"},
	[PGHA_WHY_OLD_STOPPED] = {"failover", "the instance of %s is stopped"},
	[PGHA_WHY_STOP_FAILED] = {"stuck", "is not promoted: the instance of %s could not be stopped"},
	[PGHA_WHY_STOP_TIMEOUT] = {"stuck", "is not promoted: the instance of %s was not stopped within pgha.fence_timeout"},
	[PGHA_WHY_STOP_NO_AGENT] = {"stuck", "is not promoted: no agent is connected here that could stop the instance of %s"},
	[PGHA_WHY_STOP_UNKNOWN] = {"stuck", "is not promoted: it is not known which instance %s runs on, so that it cannot be stopped"},
	[PGHA_WHY_MAY_LEAD] = {"stuck", "former primary: %s does not answer, and may have taken over: pgha_promote() if it has not"},
	[PGHA_WHY_MAY_LEAD_STARTING] = {"stuck", "former primary: %s does not finish starting up or shutting down, and may have taken over: see its log, pgha_promote() here if it has not"},
	[PGHA_WHY_STOPPING_RECEIVER] = {"wait", "stops receiving WAL"},
	[PGHA_WHY_PROMOTING] = {"wait", "is being promoted"},
	[PGHA_WHY_PROMOTION_FAILED] = {"fence", "promotion went wrong: PostgreSQL did not use the reserved timeline; needs a clone (pgha recover)"},
	[PGHA_WHY_PROMOTION_GIVEN_UP] = {"promote", "promotion given up: the decision or the timeline could not be made durable"},
	[PGHA_WHY_PASSIVE] = {"passive", "is not managed"},
	[PGHA_WHY_PAUSED] = {"pause", "failover is paused"},
	[PGHA_WHY_RESUMED_FAILOVER] = {"pause", "failover is resumed"},
	[PGHA_WHY_VOTING_BEGINS] = {"lead", "the members vote from now on"},
	[PGHA_WHY_WAITING_LEASE] = {"wait", "leads, and waits for a majority of the voters before it accepts commits"},
	[PGHA_WHY_NO_LEASE] = {"fence", "gives up: no majority of the voters was heard for pgha.failure_timeout"},
	[PGHA_WHY_NOT_ELECTED] = {"fence", "was promoted without the votes of the members: gives up"},
	[PGHA_WHY_FEW_VOTERS] = {"quorum", "too few voters answer to elect anybody"},
	[PGHA_WHY_PROMISED] = {"wait", "has promised to follow %s for a while yet"},
	[PGHA_WHY_VOTED] = {"wait", "voted for %s, and waits to see whether it is elected"},
	[PGHA_WHY_STANDING] = {"wait", "stands for election"},
	[PGHA_WHY_WITNESS] = {"start", "is a witness: votes, and has no data"},
	[PGHA_WHY_FORGOT] = {"wait", "does not vote: pgha.state is lost or new, and %s has not said yet what it knows of former votes"},
	[PGHA_WHY_VOTER_ABSENT] = {"wait", "does not let %s vote yet: it does not answer, or is not ready to"},
	[PGHA_WHY_VOTER_NEEDED] = {"wait", "lets %s vote on, though the files do not: without it no majority of the voters would answer"},
	[PGHA_WHY_VOTER_CONFIRMS] = {"wait", "lets %s vote on, though the files do not: synchronous_standby_names names it"},
	[PGHA_WHY_UNELECTED] = {"stuck", "leads, and accepts no commits while %s, which nobody has elected, leads as well"},
	[PGHA_WHY_HANDING_OVER] = {"promote", "hands over to %s"},
	[PGHA_WHY_NOT_STREAMING] = {"wait", "%s does not stream from this server"},
	[PGHA_WHY_TARGET_BARRED] = {"wait", "%s may not be promoted"},
	[PGHA_WHY_LAGS] = {"wait", "%s lags too far behind"},
	[PGHA_WHY_NO_TARGET] = {"wait", "no standby that streams from this server may be promoted"},
	[PGHA_WHY_KEEPS_LEAD] = {"lead", "goes on leading: %s was not ready to take over in time"},
	[PGHA_WHY_CALLED_OFF] = {"lead", "goes on leading: the switchover to %s was called off"},
	[PGHA_WHY_HANDED_OVER] = {"failover", "primary %s has handed over to this node"},
	[PGHA_WHY_NO_RULE] = {"vote", "does not know yet who votes: it has no rule"},
	[PGHA_WHY_NOT_READY] = {"vote", "does not know yet how much WAL it has"},
	[PGHA_WHY_STANDS_NOT] = {"vote", "%s does not stand for election"},
	[PGHA_WHY_VOTED_ALREADY] = {"vote", "has voted in that term or a later one already"},
	[PGHA_WHY_OLD_RULE] = {"vote", "%s knows an older rule (who votes) than this node"},
	[PGHA_WHY_NOT_ELIGIBLE] = {"vote", "%s may not be elected: by its rule it need not have every confirmed commit"},
	[PGHA_WHY_LESS_WAL] = {"vote", "%s lacks WAL that is here"},
	[PGHA_WHY_ABSENT] = {"wait", "does not answer"},
	[PGHA_WHY_REPLAYING] = {"wait", "has not replayed all of its WAL, without which it cannot lead"},
	[PGHA_WHY_FETCHING] = {"wait", "fetches WAL that only %s has, without which it would not be elected"},
	[PGHA_WHY_FEW_VOTES] = {"wait", "too few voters would vote for it"},
};

const char *
pgha_reason_text(PghaReason reason)
{
	return (size_t) reason < PGHA_WHY_COUNT ? reasons[reason].text : "?";
}

const char *
pgha_reason_kind(PghaReason reason)
{
	return (size_t) reason < PGHA_WHY_COUNT ? reasons[reason].kind : "?";
}
