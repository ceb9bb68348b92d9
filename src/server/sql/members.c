/*
 * members.c
 *		Members come and go everywhere: pgha_add_member(), pgha_remove_member().
 *
 * Called on the primary.  The files of the nodes are the wish who is a member, and
 * each agent writes those of its host: the session computes the new list, has every
 * agent look whether it could write it, and only then has them write it, the primary's
 * own last.  A witness may have an agent, and need not.  So a call that broke off is completed by the same call, which finds the
 * same list to start from.  Who votes is changed by the primary's monitor alone, one
 * voter at a time (core/rule.c); nothing here touches that.
 *
 * Nothing is written before it is known of every member that is to have the list
 * that its agent is there and its server answers.  `force` leaves out whom that is not
 * known of, and says what to write there.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "utils/builtins.h"

#include "../../common/clock.h"
#include "../config.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"
#include "lists.h"

/* An agent connects anew when it has read another list: how long it is waited for (microseconds). */
#define AGENT_WAIT_US		INT64CONST(10000000)
/* Until all servers report the new list. */
#define REPORT_WAIT_US		INT64CONST(30000000)
/* Until who has left has no vote any more. */
#define VOTE_WAIT_US		INT64CONST(10000000)
#define LOOK_MS				50

PG_FUNCTION_INFO_V1(pgha_sql_add_member);
PG_FUNCTION_INFO_V1(pgha_sql_remove_member);

/* A change of the members. */
typedef struct Change
{
	bool		add;
	bool		force;
	bool		witness;		/* it is pgha.witnesses that changes */
	const char *node;
	const char *setting;
	PghaView   *view;			/* as last looked at */
	PghaMembers after;			/* the members, and behind them the witnesses, as they are to be */
	char		list[PGHA_LIST_SIZE];	/* the value to be written */
	int			count;
	PghaListTarget target[PGHA_MAX_MEMBERS];	/* the agents that write it, this node's own last */
	bool		answers[PGHA_MAX_MEMBERS];	/* ... whose server has to show it */
	StringInfoData left_out;	/* by force: "c (no agent of it is connected), …" */
} Change;

/* ---- what is known ---- */

static void
look(Change *change)
{
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	memcpy(change->view, &PghaShmem->view, sizeof(PghaView));
	LWLockRelease(PghaShmem->lock);
}

/* The witnesses of the files: who has left them and still votes stands behind. */
static int
listed(const PghaView *view)
{
	return Max(view->members.voters - view->settings.leaving, view->members.count);
}

static int
find_listed(const PghaView *view, const char *node)
{
	int			found = pgha_voters_find(&view->members, node);

	return found < listed(view) ? found : PGHA_NOBODY;
}

static bool
answers(const PghaView *view, int i)
{
	return i == view->settings.self ||
		(view->member[i].contact == PGHA_CONTACT_ANSWERED && view->member[i].known);
}

/* Waits until everybody was asked since the call: what they said before may be over. */
static void
look_afresh(Change *change)
{
	pgha_time	since = pgha_clock_us();
	pgha_time	deadline = since + (pgha_time) pgha_failure_timeout * 1000;
	bool		fresh;

	do
	{
		look(change);
		fresh = true;
		for (int i = 0; i < change->view->members.voters; i++)
			fresh = fresh && (i == change->view->settings.self || change->view->member[i].told >= since);
	}
	while (!fresh && PghaLookAgain(deadline, LOOK_MS));
}

static void
check_primary(const PghaView *view)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is not the primary, and does not change the members"),
				 view->leader_name[0] != '\0' ? errhint("Call this on \"%s\".", view->leader_name) :
				 errhint("No primary is known here; see pgha_cluster().")));
	if (!view->valid || view->state != PGHA_PRIMARY)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server does not lead yet"),
				 errhint("pgha_status() tells what it waits for.")));
	if (view->config_error[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the configuration in the files of this server is refused: %s", view->config_error),
				 errhint("Correct it and reload, then try again.")));
}

/* ---- the new list ---- */

static void
check_new_list(const Change *change)
{
	PghaMembers parsed;
	char		text[PGHA_LIST_SIZE];
	char		error[512];

	pgha_members_write(&change->after, 0, change->after.count, text);
	if (pgha_members_parse(text, &parsed, error, sizeof(error)))
	{
		pgha_members_write(&change->after, change->after.count, change->after.voters, text);
		if (pgha_witnesses_parse(text, &parsed, error, sizeof(error)))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("node \"%s\" cannot be added", change->node),
			 errdetail("%s", error),
			 errhint("Give it a name and an address of its own.")));
}

/* Reads the address that somebody gave. */
static void
parse_address(const char *node, const char *text, PghaAddress *address)
{
	PghaMembers one;
	char		error[512] = "";
	char	   *member = psprintf("%s=%s", node, text);

	if (!pgha_name_valid(node))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a valid name of a node", PghaClip(node, PGHA_NAME_SIZE)),
				 errhint("Use at most %d letters, digits, '-', '_' and '.', and no '-' at the beginning.", PGHA_NAME_SIZE - 1)));
	if (strchr(text, ',') != NULL || !pgha_members_parse(member, &one, error, sizeof(error)) || one.count != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the address of a node", PghaClip(text, 100)),
				 error[0] != '\0' ? errdetail("%s", error) : 0,
				 errhint("Write host:port, as in '10.0.3.24:5432'.")));
	*address = one.member[0];
}

static bool
same_address(const PghaAddress *a, const PghaAddress *b)
{
	return a->port == b->port && pg_strcasecmp(a->host, b->host) == 0;
}

/* The list with the new one; that may be there already. */
static void
add_to_list(Change *change, const PghaAddress *address)
{
	const PghaView *view = change->view;
	PghaMembers *after = &change->after;
	int			found = find_listed(view, change->node);
	int			at = change->witness ? after->voters : after->count;

	if (found != PGHA_NOBODY && (found >= after->count) != change->witness)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("node \"%s\" is a %s already", change->node, change->witness ? "member" : "witness"),
				 errhint("Give the new one another name, or remove that one first.")));
	if (found != PGHA_NOBODY && !same_address(&after->member[found], address))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("node \"%s\" is a %s already, at %s", change->node, change->witness ? "witness" : "member",
						view->member[found].address),
				 errhint("Give the new one another name, or remove that one first.")));
	if (found != PGHA_NOBODY)
		return;
	if (after->voters == PGHA_MAX_MEMBERS)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("there are %d members and witnesses already, and no more are possible", PGHA_MAX_MEMBERS)));
	memmove(&after->member[at + 1], &after->member[at], (after->voters - at) * sizeof(PghaAddress));
	after->member[at] = *address;
	after->voters++;
	if (!change->witness)
		after->count++;
	check_new_list(change);
}

static void
remove_from_list(Change *change)
{
	PghaMembers *after = &change->after;
	int			found = find_listed(change->view, change->node);

	if (found == PGHA_NOBODY)
		return;
	change->witness = found >= after->count;
	memmove(&after->member[found], &after->member[found + 1], (after->voters - found - 1) * sizeof(PghaAddress));
	after->voters--;
	if (!change->witness)
		after->count--;
}

static void
make_list(Change *change, const PghaAddress *address)
{
	PghaMembers *after = &change->after;

	*after = change->view->members;
	after->voters = listed(change->view);
	if (change->add)
		add_to_list(change, address);
	else
		remove_from_list(change);
	change->setting = change->witness ? "pgha.witnesses" : "pgha.members";
	if (change->witness)
		pgha_members_write(after, after->count, after->voters, change->list);
	else
		pgha_members_write(after, 0, after->count, change->list);
}

/* ---- may it leave? ---- */

/* Its server must be known to be down, unless the caller forces. */
static void
check_is_gone(const Change *change, int member)
{
	const PghaMemberView *view = &change->view->member[member];
	char		server[sizeof(((PghaAgent *) 0)->server)];
	bool		down;
	bool		up;

	PghaAgentServer(change->node, server, sizeof(server));
	down = strcmp(server, "stopped") == 0 || strcmp(server, "crashed") == 0 || strcmp(server, "absent") == 0 ||
		(view->contact == PGHA_CONTACT_REFUSED && change->view->settings.refused_is_down);
	up = strcmp(server, "running") == 0 || view->contact == PGHA_CONTACT_ANSWERED ||
		view->contact == PGHA_CONTACT_STARTING || view->contact == PGHA_CONTACT_ERROR;
	if (change->force || (!up && down))
		return;
	if (up)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the server of node \"%s\" is running", change->node),
				 errhint("Stop its agent and its server first; or give force => true, and stop them afterwards.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("it is not known whether the server of node \"%s\" is down", change->node),
			 errhint("If it is, and does not come back, give force => true.")));
}

/* A change of the rule is decided by a majority of the one in force: without the one that goes, and with what is there. */
static void
check_majority(const Change *change)
{
	const PghaView *view = change->view;
	const PghaVotingRule *rule = &view->durable.rule;
	int			others = 0;
	int			needed = rule->count / 2 + 1;
	bool		votes = false;

	if (rule->term == 0)
		return;
	for (int i = 0; i < rule->count; i++)
	{
		int			voter = pgha_voters_find(&view->members, rule->voter[i]);

		if (!change->add && strcmp(rule->voter[i], change->node) == 0)
			votes = true;
		else if (voter != PGHA_NOBODY && answers(view, voter))
			others++;
	}
	if (others >= needed || (!change->add && !votes))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 change->add ? errmsg("no majority of the voters answers this server") :
			 errmsg("without node \"%s\" no majority of the voters answers", change->node),
			 errdetail("Of the %svoters only %d answer (this server is one of them), and a majority of the %d that the rule in force names is %d.",
					   votes ? "other " : "", others, rule->count, needed),
			 errhint("Start one that is down first; pgha_cluster() shows them.")));
}

static void
check_departure(const Change *change)
{
	int			found = find_listed(change->view, change->node);

	if (strcmp(change->node, pgha_node) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node \"%s\" is the primary, and cannot be removed", change->node),
				 errhint("Have another node lead first: pgha_switchover().")));
	if (found == PGHA_NOBODY)
		return;
	check_is_gone(change, found);
}

/* ---- who has to write it ---- */

/* Why this member cannot be given the list now; NULL: it can. */
static const char *
obstacle(const Change *change, int member)
{
	if (!answers(change->view, member))
		return "its server does not answer";
	return PghaListsObstacle(change->view->members.member[member].name);
}

static bool
is_concerned(const Change *change, int member)
{
	return strcmp(change->view->members.member[member].name, change->node) != 0;
}

/* Waits for agents that are about to connect anew. */
static void
await_agents(Change *change)
{
	pgha_time	deadline = pgha_clock_us() + AGENT_WAIT_US;
	bool		told = false;

	for (;;)
	{
		const char *missing = NULL;

		for (int i = 0; i < listed(change->view) && missing == NULL; i++)
		{
			const char *name = change->view->members.member[i].name;

			if (is_concerned(change, i) && answers(change->view, i) && obstacle(change, i) != NULL &&
				(i < change->view->members.count || PghaListsExpected(name)))
				missing = name;
		}
		if (missing == NULL)
			return;
		if (!told)
			ereport(NOTICE,
					(errmsg("waiting for the agent of node \"%s\"", missing)));
		told = true;
		if (!PghaLookAgain(deadline, LOOK_MS))
			return;
		look(change);
	}
}

static void
add_target(Change *change, int member)
{
	change->answers[change->count] = answers(change->view, member);
	strlcpy(change->target[change->count++].node, change->view->members.member[member].name, PGHA_NAME_SIZE);
}

/* The agents that write the list; error, or by force a note, for those that cannot. */
static void
find_targets(Change *change)
{
	const PghaView *view = change->view;

	await_agents(change);
	for (int i = 0; i < listed(view); i++)
	{
		const char *why = obstacle(change, i);

		if (i == view->settings.self || !is_concerned(change, i))
			continue;

		/* One whose server is down can have its files changed all the same. */
		if (why == NULL || (change->force && PghaListsObstacle(view->members.member[i].name) == NULL))
			add_target(change, i);
		else if (i < view->members.count)
			appendStringInfo(&change->left_out, "%s%s (%s)", change->left_out.len > 0 ? ", " : "",
							 view->members.member[i].name, why);
	}
	if (change->left_out.len > 0 && !change->force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the list cannot be changed on all nodes: %s", change->left_out.data),
				 errdetail("Nothing was changed."),
				 errhint("Start what is missing there. force => true leaves these nodes out, and says what to write there.")));

	/* The primary has no other way to learn of it, so that it is not left out. */
	if (obstacle(change, view->settings.self) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the list of this server cannot be changed: %s", obstacle(change, view->settings.self)),
				 errdetail("Nothing was changed."),
				 errhint("Start \"pgha agent\" on this server's host, or restart one of an earlier version.")));
	add_target(change, view->settings.self);
}

/* ---- the orders ---- */

static const char *
order_text(const Change *change, const char *verb)
{
	return psprintf("%s %s %s %s", verb, change->setting, change->node, change->list);
}

static bool
has_it(const PghaListTarget *target)
{
	return strncmp(target->message, "unchanged", strlen("unchanged")) == 0;
}

/* "b, c", of those that have done it, or have not. */
static char *
names_of(const Change *change, bool done)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < change->count; i++)
	{
		if (change->target[i].done == done)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", change->target[i].node);
	}
	return names.len > 0 ? names.data : "none";
}

static const PghaListTarget *
first_failed(const Change *change)
{
	for (int i = 0; i < change->count; i++)
	{
		if (!change->target[i].done)
			return &change->target[i];
	}
	return NULL;
}

/* Has all agents look whether they could write it.  True if there is something to be written. */
static bool
check_everywhere(Change *change)
{
	bool		needed = false;

	if (!PghaListsOrder(change->target, change->count, order_text(change, "check")))
	{
		const PghaListTarget *failed = first_failed(change);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node \"%s\" cannot change %s: %s", failed->node, change->setting, failed->message),
				 errdetail("Nothing was changed."),
				 errhint("Mend that there, or set it there yourself and reload: %s = '%s'; then try again.", change->setting, change->list)));
	}
	for (int i = 0; i < change->count; i++)
		needed = needed || !has_it(&change->target[i]);
	return needed;
}

/* Does this server go by the list that is to be written? */
static bool
is_in_force(const Change *change)
{
	const PghaView *view = change->view;
	char		text[PGHA_LIST_SIZE];

	if (change->witness)
		pgha_members_write(&view->members, view->members.count, listed(view), text);
	else
		pgha_members_write(&view->members, 0, view->members.count, text);
	return view->config_error[0] == '\0' && strcmp(text, change->list) == 0;
}

/*
 * That all have the new list is told by a sum over what members must agree on: so they
 * must agree before.  A call that broke off between the file of this server and its
 * reload left it with another sum than those that it had written to before: that is
 * mended by the reload.
 */
static void
check_agreement(Change *change)
{
	bool		own = has_it(&change->target[change->count - 1]);

	look(change);
	if (own && !is_in_force(change))
		return;
	for (int i = 0; i < change->count - 1; i++)
	{
		int			member = pgha_voters_find(&change->view->members, change->target[i].node);

		if (member == PGHA_NOBODY || !change->answers[i] || has_it(&change->target[i]) != own ||
			!PghaConfigDiffers(&change->view->settings, member, change->view->member[member].report.config_hash))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node \"%s\" has other settings than this server", change->target[i].node),
				 errdetail("Nothing was changed."),
				 errhint("Write the same on all nodes: pgha.cluster, pgha.members, pgha.witnesses, times and address; pgha_doctor() tells more.")));
	}
}

/* Has the first `count` targets from `from` on write it. */
static void
write_to(Change *change, int from, int count)
{
	const PghaListTarget *failed;

	if (PghaListsOrder(change->target + from, count, order_text(change, "write")))
		return;
	for (int i = from + count; i < change->count; i++)
		change->target[i].done = false;
	failed = first_failed(change);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("node \"%s\" has not changed %s: %s", failed->node, change->setting, failed->message),
			 errdetail("Written on: %s. Not, or not known to be, written on: %s.",
					   names_of(change, true), names_of(change, false)),
			 errhint("Mend that there, and call the function again in the same way: it completes what is missing.")));
}

/* ---- what came of it ---- */

/* Is the list in force here, and which target does not show it yet?  NULL: all do. */
static const char *
who_lacks_it(Change *change)
{
	const PghaView *view = change->view;

	look(change);
	if (!is_in_force(change))
		return pgha_node;
	for (int i = 0; i < change->count - 1; i++)
	{
		int			member = pgha_voters_find(&view->members, change->target[i].node);

		if (change->answers[i] && member != PGHA_NOBODY &&
			(!answers(view, member) ||
			 PghaConfigDiffers(&view->settings, member, view->member[member].report.config_hash)))
			return change->target[i].node;
	}
	return NULL;
}

static void
await_reports(Change *change)
{
	pgha_time	deadline = pgha_clock_us() + REPORT_WAIT_US;
	const char *lacks;

	while ((lacks = who_lacks_it(change)) != NULL)
	{
		if (PghaLookAgain(deadline, LOOK_MS))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the server of node \"%s\" does not show the new list within %d seconds", lacks, (int) (REPORT_WAIT_US / 1000000)),
				 errdetail("It is written in the files of: %s.", names_of(change, true)),
				 errhint("pgha_status() there tells of a configuration that is refused, and its log of a reload. Call the function again when it is mended.")));
	}
}

/* Who is not written to by an agent: those left out, and witnesses, which need not have one. */
static void
warn_of_the_rest(const Change *change)
{
	const PghaView *view = change->view;
	StringInfoData witnesses;

	if (change->left_out.len > 0)
		ereport(WARNING,
				(errmsg("left out were: %s", change->left_out.data),
				 errhint("Write there, and reload: %s = '%s'", change->setting, change->list)));
	initStringInfo(&witnesses);
	for (int i = view->members.count; i < listed(view); i++)
	{
		/* One that is new has been told all of it when it was made. */
		if (strcmp(view->members.member[i].name, change->node) == 0 ||
			(answers(view, i) && !PghaConfigDiffers(&view->settings, i, view->member[i].report.config_hash)))
			continue;
		appendStringInfo(&witnesses, "%s%s", witnesses.len > 0 ? ", " : "", view->members.member[i].name);
	}
	if (witnesses.len > 0)
		ereport(WARNING,
				(errmsg("witnesses without an agent that could write it: %s", witnesses.data),
				 errhint("Write there, and reload: %s = '%s'", change->setting, change->list)));
}

/* It goes on to count among those that a commit waits for: that setting is the administrator's. */
static void
warn_of_sync(const Change *change)
{
	const char *name = SyncRepConfig != NULL ? SyncRepConfig->member_names : NULL;

	for (int i = 0; !change->add && name != NULL && i < SyncRepConfig->nmembers; i++, name += strlen(name) + 1)
	{
		if (pg_strcasecmp(name, change->node) != 0)
			continue;
		ereport(WARNING,
				(errmsg("synchronous_standby_names names \"%s\"", name),
				 errdetail("%s", SyncRepStandbyNames),
				 errhint("Take it out of that list on every node, and reload: commits wait for as many standbys as the list asks for.")));
		return;
	}
}

static bool
has_vote(const PghaView *view, const char *node)
{
	for (int i = 0; i < view->durable.rule.count; i++)
	{
		if (strcmp(view->durable.rule.voter[i], node) == 0)
			return true;
	}
	return false;
}

/* What is left to be done by others. */
static void
tell_of_votes(Change *change)
{
	pgha_time	deadline = pgha_clock_us() + VOTE_WAIT_US;

	if (change->view->durable.rule.term == 0)
		return;
	if (change->add)
	{
		ereport(NOTICE,
				(errmsg("\"%s\" becomes a voter when its server is there", change->node)));
		return;
	}
	while (has_vote(change->view, change->node) && PghaLookAgain(deadline, LOOK_MS))
		look(change);
	ereport(NOTICE,
			(has_vote(change->view, change->node) ?
			 errmsg("\"%s\" still has a vote; the column rule of pgha_status() says what that waits for", change->node) :
			 errmsg("\"%s\" has no vote any more", change->node)));
}

static bool
carry_out(Change *change, const PghaAddress *address)
{
	look_afresh(change);
	check_primary(change->view);
	make_list(change, address);
	if (!change->add)
		check_departure(change);
	check_majority(change);
	find_targets(change);
	if (!check_everywhere(change) && who_lacks_it(change) == NULL)
	{
		ereport(NOTICE,
				(errmsg("\"%s\" is %s %s on all nodes already", change->node,
						change->add ? "in" : "not in", change->setting)));
		warn_of_the_rest(change);
		warn_of_sync(change);
		return false;
	}
	check_agreement(change);
	check_primary(change->view);
	if (change->count > 1)
		write_to(change, 0, change->count - 1);
	write_to(change, change->count - 1, 1);
	await_reports(change);
	ereport(LOG,
			(errmsg("pgha: node \"%s\" was %s %s", change->node,
					change->add ? "added to" : "removed from", change->setting)));
	warn_of_the_rest(change);
	warn_of_sync(change);
	tell_of_votes(change);
	return true;
}

static bool
change_members(Change *change, const PghaAddress *address)
{
	bool		changed;

	change->view = palloc0(sizeof(PghaView));
	initStringInfo(&change->left_out);
	PghaListsClaim();
	PG_ENSURE_ERROR_CLEANUP(PghaListsRelease, (Datum) 0);
	{
		changed = carry_out(change, address);
	}
	PG_END_ENSURE_ERROR_CLEANUP(PghaListsRelease, (Datum) 0);
	PghaListsRelease(0, (Datum) 0);
	return changed;
}

static void
refuse_null(FunctionCallInfo fcinfo, const char *what)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", what)));
	}
}

/*
 * pgha_add_member(node, address, witness, force): true when the list is in force on
 * all members; false if it was already.
 */
Datum
pgha_sql_add_member(PG_FUNCTION_ARGS)
{
	Change	   *change = palloc0(sizeof(Change));
	PghaAddress address;

	PghaRequireData();
	refuse_null(fcinfo, "node, address, witness and force");
	change->add = true;
	change->node = text_to_cstring(PG_GETARG_TEXT_PP(0));
	change->witness = PG_GETARG_BOOL(2);
	change->force = PG_GETARG_BOOL(3);
	parse_address(change->node, text_to_cstring(PG_GETARG_TEXT_PP(1)), &address);
	PG_RETURN_BOOL(change_members(change, &address));
}

/* pgha_remove_member(node, force): likewise. */
Datum
pgha_sql_remove_member(PG_FUNCTION_ARGS)
{
	Change	   *change = palloc0(sizeof(Change));

	PghaRequireData();
	refuse_null(fcinfo, "node and force");
	change->node = text_to_cstring(PG_GETARG_TEXT_PP(0));
	change->force = PG_GETARG_BOOL(1);
	if (!pgha_name_valid(change->node))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a valid name of a node", PghaClip(change->node, PGHA_NAME_SIZE))));
	PG_RETURN_BOOL(change_members(change, NULL));
}
