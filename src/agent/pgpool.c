/*
 * pgpool.c
 *		Telling pgpool-II who is primary and who is back, over PCP.
 *
 * pgpool looks for the primary only when it believes that a node has failed,
 * and never takes a node back by itself unless auto_failback is on.  So after a
 * quick change of roles it writes to the wrong server, it leaves a returned
 * standby out, and when all its nodes have been down it serves nobody, though a
 * primary is there.  What cures that, seen with pgpool-II 4.3.5:
 *
 *		a node that is "down" and runs		pcp_attach_node, which has pgpool look
 *											for the primary as well
 *		the wrong node is the primary		pcp_promote_node without a switchover,
 *											which changes pgpool's books only
 *		the former primary is gone but up	pcp_detach_node: pgpool stops sending
 *											sessions there, and looks for the primary
 *
 * Nothing is sent where pgpool's books agree with what the primary sees.
 *
 * The agent's loop starts a process for it now and then, which starts one for each
 * pgpool (net/pcp.c).  It tells what the own server says, and never decides who
 * leads.
 */
#include "pgpool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/extension.h"
#include "../common/log.h"
#include "../common/pgpools.h"
#include "../net/member.h"
#include "../net/pcp.h"

/* How often all is compared. */
#define EVERY_MS		10000
/* One that is in the middle of a failover refuses, or obeys later: that many tries follow soon. */
#define SOON_MS			1000
#define SOON_TRIES		15

/* How the process ends: all of them agree, */
#define AGREES			0
/* one was told something, or the own server is not yet sure: look again soon, */
#define LATER			1
/* one could not be reached, or refused. */
#define FAILED			2

/* For the own server, and for each pgpool: a frozen one must not keep us. */
#define LIMIT_S			30

/* What the primary knows of a member. */
typedef enum Known
{
	KNOWN_UNKNOWN,				/* nothing is said about it */
	KNOWN_PRIMARY,
	KNOWN_STANDBY,				/* streams */
	KNOWN_GONE					/* unreachable, or diverged */
} Known;

static const PghaAgentConf *conf;
static bool failed = false;
static Known role[PGHA_MAX_MEMBERS];

/* ---- complaints ---- */

/* What was complained of lately; shared by the processes, since none of them lives long. */
#define MAX_COMPLAINTS		16
#define COMPLAIN_EVERY_MS	600000

typedef struct Complaint
{
	uint64_t	hash;			/* FNV-1a of the text */
	int64_t		at;				/* pgha_clock_ms(); 0: free */
} Complaint;

static Complaint *complaints = NULL;

/* Was this said within COMPLAIN_EVERY_MS?  If not, it is now. */
static bool
is_said(const char *text)
{
	uint64_t	hash = UINT64_C(14695981039346656037);
	int64_t		now = pgha_clock_ms();
	Complaint  *oldest = complaints;

	if (complaints == NULL)
		return false;
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
	for (Complaint *c = complaints; c < complaints + MAX_COMPLAINTS; c++)
	{
		if (c->hash == hash && c->at != 0 && now - c->at < COMPLAIN_EVERY_MS)
			return true;
		if (c->at < oldest->at)
			oldest = c;
	}
	oldest->hash = hash;
	oldest->at = now;
	return false;
}

/* Says what keeps a pgpool from being told, unless that was said lately. */
static void
complain(const char *format,...)
{
	va_list		args;
	char		text[1200];

	failed = true;
	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!is_said(text))
		pgha_agent_warning("%s", text);
}

/* ---- what was told ---- */

/*
 * pgpool confirms an order at once, and carries it out when its main process has
 * nothing else to do: if that one looks for the primary, only after
 * search_primary_node_timeout.  So an order is given once, and again only after
 * pauses that grow.  What is logged is the first, the second, the fourth, the
 * eighth and so on.  Shared by the processes, as the complaints are.
 */
#define TELL_PAUSE_MS		2000
#define TELL_PAUSE_MAX_MS	16000
#define TELL_LONG_MS		10000	/* from then on it is said how long it has been so */
#define TELL_FORGET_MS		60000	/* nobody has asked for so long: another matter */

typedef struct Told
{
	PghaPcpOrder remedy;
	unsigned	count;			/* 0: nothing was told */
	int64_t		since;			/* pgha_clock_ms(), as the next two */
	int64_t		at;
	int64_t		pause;
} Told;

static Told (*told_of)[PGHA_MAX_MEMBERS] = NULL;	/* by pgpool and member */
static Told *told = NULL;		/* those of the pgpool of this process */

/* What was told before about that member, if it is the same; else it begins. */
static Told *
told_before(int member, PghaPcpOrder remedy)
{
	static Told unshared;
	Told	   *before = told != NULL ? &told[member] : &unshared;
	int64_t		now = pgha_clock_ms();

	if (before->count == 0 || before->remedy != remedy || now - before->at > before->pause + TELL_FORGET_MS)
		*before = (Told) {.remedy = remedy, .since = now};
	return before;
}

/* Takes note that it was told, and logs it if it is time to. */
static void
note_told(Told *before, const char *pgpool, const char *what, int backend, const char *member)
{
	char		since[160] = "";

	before->at = pgha_clock_ms();
	before->pause = before->count == 0 ? TELL_PAUSE_MS : 2 * before->pause;
	if (before->pause > TELL_PAUSE_MAX_MS)
		before->pause = TELL_PAUSE_MAX_MS;
	before->count++;
	if ((before->count & (before->count - 1)) != 0)
		return;
	if (before->at - before->since >= TELL_LONG_MS)
		(void) snprintf(since, sizeof(since), ", which it has not done for %d s (is its search_primary_node_timeout 0 or large?)",
						(int) ((before->at - before->since) / 1000));
	pgha_agent_say(since[0] != '\0' ? PGHA_SEVERITY_WARNING : PGHA_SEVERITY_LOG,
				   "pgpool %s: told to %s node %d (\"%s\")%s", pgpool, what, backend, member, since);
}

static void *
share(size_t size)
{
	void	   *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

/* ---- who is what ---- */

static Known
role_of(const char *word, const char *state, const char *reachable, const char *upstream)
{
	if (strcmp(word, "primary") == 0 && strcmp(state, "primary") == 0 && strcmp(reachable, "t") == 0)
		return KNOWN_PRIMARY;
	if (strcmp(state, "standby") == 0 && strcmp(reachable, "t") == 0)
		return *upstream != '\0' ? KNOWN_STANDBY : KNOWN_UNKNOWN;
	return strcmp(state, "unreachable") == 0 || strcmp(state, "diverged") == 0 ? KNOWN_GONE : KNOWN_UNKNOWN;
}

/* Asks the own server; false unless exactly one member is the primary, and this node is it. */
static bool
ask_roles(void)
{
	char		error[512];
	char		query[400];
	PGconn	   *conn = pgha_member_connect(conf->conninfo, &conf->members.member[conf->self], NULL, error, sizeof(error));
	char	   *schema;
	PGresult   *result;
	int			primaries = 0;

	if (conn == NULL)
		return false;
	schema = pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	if (schema == NULL)
	{
		PQfinish(conn);
		return false;
	}
	(void) snprintf(query, sizeof(query), "SELECT node, role, state, reachable, upstream FROM %s.pgha_cluster()", schema);
	free(schema);
	result = PQexec(conn, query);
	for (int i = 0; i < PQntuples(result); i++)
	{
		int			member = pgha_members_find(&conf->members, PQgetvalue(result, i, 0));

		if (member == PGHA_NOBODY)
			continue;
		role[member] = role_of(PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
							   PQgetvalue(result, i, 3), PQgetvalue(result, i, 4));
		primaries += role[member] == KNOWN_PRIMARY;
	}
	PQclear(result);
	PQfinish(conn);
	return primaries == 1 && role[conf->self] == KNOWN_PRIMARY;
}

/* ---- one pgpool ---- */

/* What is to be done about one backend?  False: nothing. */
static bool
remedy_for(Known known, const PghaPcpBackend *backend, PghaPcpOrder *remedy)
{
	if ((known == KNOWN_PRIMARY || known == KNOWN_STANDBY) && backend->down)
		*remedy = PGHA_PCP_ATTACH;
	else if (known == KNOWN_PRIMARY && !backend->primary)
		*remedy = PGHA_PCP_PROMOTE;
	else if (known == KNOWN_GONE && backend->primary && !backend->down)
		*remedy = PGHA_PCP_DETACH;
	else
		return false;
	return true;
}

/* Gives the order, unless that was done lately. */
static void
apply(PghaPcp *pcp, const char *pgpool, int backend, PghaPcpOrder remedy, int member)
{
	static const char *const words[] = {"attach", "promote", "detach"};
	const char *node = conf->members.member[member].name;
	Told	   *before = told_before(member, remedy);
	char		error[1024];

	if (before->count > 0 && pgha_clock_ms() - before->at < before->pause)
		return;
	if (pgha_pcp_order(pcp, remedy, backend, error, sizeof(error)))
		note_told(before, pgpool, words[remedy], backend, node);
	else
		complain("pgpool %s: could not %s node %d (\"%s\"): %s", pgpool, words[remedy], backend, node, error);
}

/*
 * Makes pgpool's books agree about one backend.  True if they did already.  The
 * primary comes first, before the standbys are attached.
 */
static bool
correct_backend(PghaPcp *pcp, const char *pgpool, int number, bool primary_only)
{
	PghaPcpBackend backend;
	PghaPcpOrder remedy;
	int			member;

	if (!pgha_pcp_backend(pcp, number, &backend))
	{
		complain("pgpool %s: could not ask for node %d", pgpool, number);
		return false;
	}
	member = pgha_pcp_member(&conf->members, backend.host, backend.port);
	if (member == PGHA_NOBODY || (role[member] == KNOWN_PRIMARY) != primary_only)
		return true;
	if (!remedy_for(role[member], &backend, &remedy))
	{
		/* What was told is done: if it is needed again, that is another matter. */
		if (told != NULL)
			told[member].count = 0;
		return true;
	}
	apply(pcp, pgpool, number, remedy, member);
	return false;
}

/* Makes one pgpool agree.  True if it did already: what is told now is checked the next time. */
static bool
correct_pgpool(const char *host, int port)
{
	char		name[PGHA_HOST_SIZE + 16];
	const PghaPcpLogin login = {.user = conf->pgpool_user, .passfile = conf->pgpool_passfile};
	char		error[1200];
	PghaPcp    *pcp;
	int			count;
	bool		agrees = true;

	(void) snprintf(name, sizeof(name), "%s:%d", host, port);
	pcp = pgha_pcp_open(&login, host, port, &count, error, sizeof(error));
	if (pcp == NULL)
	{
		complain("%s", error);
		return false;
	}
	for (int primary_only = 1; primary_only >= 0 && agrees; primary_only--)
	{
		for (int i = 0; i < count; i++)
			agrees &= correct_backend(pcp, name, i, primary_only != 0);
	}
	pgha_pcp_close(pcp);
	return agrees && count > 0;
}

static int
exit_code(bool agrees)
{
	return failed ? FAILED : agrees ? AGREES : LATER;
}

/* Each in a process of its own: one whose host is gone must not keep the others. */
static pid_t
start_one(int number, const char *host, int port)
{
	pid_t		pid = fork();

	if (pid == 0)
	{
		(void) alarm(LIMIT_S);
		told = told_of != NULL ? told_of[number] : NULL;
		_exit(exit_code(correct_pgpool(host, port)));
	}
	if (pid < 0)
		complain("pgpool %s:%d: could not start a process: %s", host, port, strerror(errno));
	return pid;
}

/* The exit code of that process, or what its end by the alarm comes to. */
static int
await_one(pid_t pid, const char *host, int port)
{
	int			status;

	while (waitpid(pid, &status, 0) < 0)
	{
		if (errno != EINTR)
			return FAILED;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	complain("pgpool %s:%d: no answer within %d seconds", host, port, LIMIT_S);
	return FAILED;
}

static int
tell_all(void)
{
	PghaPgpools pgpools;
	pid_t		pid[PGHA_MAX_PGPOOLS];
	char		error[256];
	int			worst = AGREES;

	if (!pgha_pgpools_parse(conf->pgpool, &pgpools, error, sizeof(error)))
	{
		complain("pgha.pgpool cannot be used: %s", error);
		return FAILED;
	}
	if (!ask_roles())
		return LATER;
	(void) alarm(0);
	for (int i = 0; i < pgpools.count; i++)
		pid[i] = start_one(i, pgpools.pgpool[i].host, pgpools.pgpool[i].port);
	for (int i = 0; i < pgpools.count; i++)
	{
		int			code = pid[i] < 0 ? FAILED :
			await_one(pid[i], pgpools.pgpool[i].host, pgpools.pgpool[i].port);

		worst = code > worst ? code : worst;
	}
	if (worst == AGREES && complaints != NULL)
		memset(complaints, 0, MAX_COMPLAINTS * sizeof(Complaint));
	return worst;
}

/* Starts the process that does all of it; -1 with errno set. */
static pid_t
start_telling(const PghaAgentConf *configuration)
{
	pid_t		pid;

	if (complaints == NULL)
		complaints = share(MAX_COMPLAINTS * sizeof(Complaint));
	if (told_of == NULL)
		told_of = share(PGHA_MAX_PGPOOLS * sizeof(*told_of));

	(void) fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	pgha_agent_log_process("pgpool");
	pgha_pcp_begin(LIMIT_S);
	conf = configuration;
	_exit(tell_all());
}

/* ---- in the agent ---- */

static pid_t process = 0;
static int64_t due = 0;
static int	last_outcome = AGREES;
static int	tries = 0;			/* in a row with that outcome */

void
pgha_pgpool_tend(const PghaAgentConf *configuration, bool is_primary, int64_t now)
{
	static bool was_primary = false;

	if (is_primary && !was_primary)
		due = tries = 0;
	was_primary = is_primary;
	if (configuration->pgpool[0] == '\0' || !is_primary || process != 0 || now < due)
		return;
	due = now + EVERY_MS;
	process = start_telling(configuration);
	if (process < 0)
		process = 0;
}

void
pgha_pgpool_soon(void)
{
	due = 0;
}

void
pgha_pgpool_ended(pid_t pid, int status)
{
	int			outcome = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;

	if (pid != process)
		return;
	process = 0;
	if (outcome != last_outcome)
		tries = 0;
	last_outcome = outcome;
	if (outcome != AGREES && tries++ < SOON_TRIES)
		due = pgha_clock_ms() + SOON_MS;
}
