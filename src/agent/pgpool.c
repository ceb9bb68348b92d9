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
#include <time.h>
#include <unistd.h>

#include "../common/extension.h"
#include "../common/pgpools.h"
#include "../net/member.h"
#include "../net/pcp.h"
#include "log.h"

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
#define COMPLAIN_EVERY_S	600

typedef struct Complaint
{
	uint64_t	hash;			/* FNV-1a of the text */
	time_t		at;
} Complaint;

static Complaint *complaints = NULL;

/* Was this said within COMPLAIN_EVERY_S?  If not, it is now. */
static bool
is_said(const char *text)
{
	uint64_t	hash = UINT64_C(14695981039346656037);
	time_t		now = time(NULL);
	Complaint  *oldest = complaints;

	if (complaints == NULL)
		return false;
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
	for (Complaint *c = complaints; c < complaints + MAX_COMPLAINTS; c++)
	{
		if (c->hash == hash && now - c->at < COMPLAIN_EVERY_S && now >= c->at)
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
		pgha_agent_log("%s", text);
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

static void
apply(PghaPcp *pcp, const char *pgpool, int backend, PghaPcpOrder remedy, const char *member)
{
	static const char *const words[] = {"attach", "promote", "detach"};
	char		error[1024];

	if (pgha_pcp_order(pcp, remedy, backend, error, sizeof(error)))
		pgha_agent_log("pgpool %s: told to %s node %d (\"%s\")", pgpool, words[remedy], backend, member);
	else
		complain("pgpool %s: could not %s node %d (\"%s\"): %s", pgpool, words[remedy], backend, member, error);
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
	if (member == PGHA_NOBODY || (role[member] == KNOWN_PRIMARY) != primary_only ||
		!remedy_for(role[member], &backend, &remedy))
		return true;
	apply(pcp, pgpool, number, remedy, conf->members.member[member].name);
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
	return failed ? PGHA_PGPOOL_FAILED : agrees ? PGHA_PGPOOL_AGREES : PGHA_PGPOOL_LATER;
}

/* Each in a process of its own: one whose host is gone must not keep the others. */
static pid_t
start_one(const char *host, int port)
{
	pid_t		pid = fork();

	if (pid == 0)
	{
		(void) alarm(LIMIT_S);
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
			return PGHA_PGPOOL_FAILED;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	complain("pgpool %s:%d: no answer within %d seconds", host, port, LIMIT_S);
	return PGHA_PGPOOL_FAILED;
}

static int
tell_all(void)
{
	PghaPgpools pgpools;
	pid_t		pid[PGHA_MAX_PGPOOLS];
	char		error[256];
	int			worst = PGHA_PGPOOL_AGREES;

	if (!pgha_pgpools_parse(conf->pgpool, &pgpools, error, sizeof(error)))
	{
		complain("pgha.pgpool cannot be used: %s", error);
		return PGHA_PGPOOL_FAILED;
	}
	if (!ask_roles())
		return PGHA_PGPOOL_LATER;
	(void) alarm(0);
	for (int i = 0; i < pgpools.count; i++)
		pid[i] = start_one(pgpools.pgpool[i].host, pgpools.pgpool[i].port);
	for (int i = 0; i < pgpools.count; i++)
	{
		int			code = pid[i] < 0 ? PGHA_PGPOOL_FAILED :
			await_one(pid[i], pgpools.pgpool[i].host, pgpools.pgpool[i].port);

		worst = code > worst ? code : worst;
	}
	if (worst == PGHA_PGPOOL_AGREES && complaints != NULL)
		memset(complaints, 0, MAX_COMPLAINTS * sizeof(Complaint));
	return worst;
}

pid_t
pgha_pgpool_tell(const PghaAgentConf *configuration)
{
	pid_t		pid;

	if (complaints == NULL)
	{
		complaints = mmap(NULL, MAX_COMPLAINTS * sizeof(Complaint), PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (complaints == MAP_FAILED)
			complaints = NULL;
	}

	(void) fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	pgha_pcp_begin(LIMIT_S);
	conf = configuration;
	_exit(tell_all());
}
