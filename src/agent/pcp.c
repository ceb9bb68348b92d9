/*
 * pcp.c
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
 * libpcp blocks, and keeps its state in one connection at a time: each pgpool is
 * talked to in a process of its own that an alarm ends.
 */
#include "pcp.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * The header of libpcp expects PostgreSQL's names; and since 4.6, unless it is
 * told that it is not pgpool's own, a header that is not installed.
 */
typedef int32_t int32;
typedef uint64_t uint64;
#define PGPOOL_ADM
#define NAMEDATALEN 64
#include <pgpool2/libpcp_ext.h>

#include "../common/pgpools.h"
#include "agent.h"
#include "../common/extension.h"
#include "../recovery/job_run.h"
#include "session.h"

/* For the own server, and for each pgpool: a frozen one must not keep us. */
#define LIMIT_S			30
#define TRY_LIMIT_S		10

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

/* ---- what was told ---- */

/* What is to be done about one backend. */
typedef enum Remedy
{
	REMEDY_NONE,
	REMEDY_ATTACH,
	REMEDY_PROMOTE,
	REMEDY_DETACH
} Remedy;

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
	Remedy		remedy;
	unsigned	count;
	int64_t		since;			/* pgha_session_clock(), as the next two */
	int64_t		at;
	int64_t		pause;
} Told;

static Told (*told_of)[PGHA_MAX_MEMBERS] = NULL;	/* by pgpool and member */
static Told *told = NULL;		/* those of the pgpool of this process */

/* What was told before about that member, if it is the same; else it begins. */
static Told *
told_before(int member, Remedy remedy)
{
	static Told unshared;
	Told	   *before = told != NULL ? &told[member] : &unshared;
	int64_t		now = pgha_session_clock();

	if (before->remedy != remedy || now - before->at > before->pause + TELL_FORGET_MS)
		*before = (Told) {.remedy = remedy, .since = now};
	return before;
}

/* Takes note that it was told, and logs it if it is time to. */
static void
note_told(Told *before, const char *pgpool, const char *what, int backend, const char *member)
{
	char		since[160] = "";

	before->at = pgha_session_clock();
	before->pause = before->count == 0 ? TELL_PAUSE_MS : 2 * before->pause;
	if (before->pause > TELL_PAUSE_MAX_MS)
		before->pause = TELL_PAUSE_MAX_MS;
	before->count++;
	if ((before->count & (before->count - 1)) != 0)
		return;
	if (before->at - before->since >= TELL_LONG_MS)
		(void) snprintf(since, sizeof(since), ", which it has not done for %d s (is its search_primary_node_timeout 0 or large?)",
						(int) ((before->at - before->since) / 1000));
	pgha_agent_log("pgpool %s: told to %s node %d (\"%s\")%s", pgpool, what, backend, member, since);
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
	PGconn	   *conn = pgha_job_connect(conf, conf->self, NULL, error, sizeof(error));
	char	   *schema;
	PGresult   *result;
	int			primaries = 0;

	if (conn == NULL)
		return false;
	schema = pgha_job_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
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

/* ---- passwords ---- */

/* Takes a field off a line of the password file: ':' ends it, '\' quotes. */
static char *
take_field(char **cursor)
{
	char	   *field = *cursor;
	char	   *to = field;
	char	   *from = field;

	while (*from != '\0' && *from != ':' && *from != '\n')
	{
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from++;
	}
	*cursor = *from == ':' ? from + 1 : from;
	*to = '\0';
	return field;
}

static bool
field_matches(const char *field, const char *value)
{
	return strcmp(field, "*") == 0 || strcmp(field, value) == 0;
}

/* The password for a pgpool, from a file of the form of .pcppass; false after a line in the log. */
static bool
find_password(const char *host, int port, char *password, size_t size)
{
	FILE	   *file = fopen(conf->pgpool_passfile, "re");
	struct stat st;
	char		line[1024];
	char		port_text[16];
	bool		found = false;

	if (file == NULL || fstat(fileno(file), &st) != 0)
	{
		complain("pgpool: could not open password file \"%s\": %s", conf->pgpool_passfile, strerror(errno));
		return false;
	}
	(void) snprintf(port_text, sizeof(port_text), "%d", port);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		complain("pgpool: password file \"%s\" can be read by others: change its permissions to 0600",
				 conf->pgpool_passfile);
	else
	{
		while (!found && fgets(line, sizeof(line), file) != NULL)
		{
			char	   *cursor = line;
			char	   *line_host = take_field(&cursor);
			char	   *line_port = take_field(&cursor);
			char	   *line_user = take_field(&cursor);

			found = field_matches(line_host, host) && field_matches(line_port, port_text) &&
				field_matches(line_user, conf->pgpool_user);
			if (found)
				(void) snprintf(password, size, "%s", take_field(&cursor));
		}
		if (!found)
			complain("pgpool: password file \"%s\" has no line for %s:%d:%s", conf->pgpool_passfile,
					 host, port, conf->pgpool_user);
	}
	(void) fclose(file);
	explicit_bzero(line, sizeof(line));
	return found;
}

/* ---- which member is a backend ---- */

bool
pgha_same_host(const char *a, const char *b)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *first = NULL;
	struct addrinfo *second = NULL;
	bool		same = false;

	if (strcasecmp(a, b) == 0)
		return true;
	if (getaddrinfo(a, NULL, &hints, &first) == 0 && getaddrinfo(b, NULL, &hints, &second) == 0)
	{
		for (struct addrinfo *x = first; x != NULL && !same; x = x->ai_next)
			for (struct addrinfo *y = second; y != NULL && !same; y = y->ai_next)
				same = x->ai_addrlen == y->ai_addrlen && memcmp(x->ai_addr, y->ai_addr, x->ai_addrlen) == 0;
	}
	if (first != NULL)
		freeaddrinfo(first);
	if (second != NULL)
		freeaddrinfo(second);
	return same;
}

static int
member_of(const char *host, int port)
{
	/* pgpool calls its own host's socket directory by its path. */
	if (host[0] == '\0' || host[0] == '/')
		host = "localhost";
	for (int i = 0; i < conf->members.count; i++)
	{
		const PghaAddress *member = &conf->members.member[i];

		if (member->port == port && (strcasecmp(host, member->name) == 0 || pgha_same_host(host, member->host)))
			return i;
	}
	return PGHA_NOBODY;
}

/* ---- one pgpool ---- */

static bool
succeeded(PCPConnInfo *pcp, PCPResultInfo *result)
{
	return result != NULL && PCPResultStatus(result) == PCP_RES_COMMAND_OK && PCPConnectionStatus(pcp) == PCP_CONNECTION_OK;
}

static Remedy
remedy_for(Known known, const BackendInfo *backend)
{
	bool		down = backend->backend_status == CON_DOWN;
	bool		primary = backend->role == ROLE_PRIMARY;

	if ((known == KNOWN_PRIMARY || known == KNOWN_STANDBY) && down)
		return REMEDY_ATTACH;
	if (known == KNOWN_PRIMARY && !primary)
		return REMEDY_PROMOTE;
	if (known == KNOWN_GONE && primary && !down)
		return REMEDY_DETACH;
	return REMEDY_NONE;
}

/* Applies it, unless that was done lately; false if pgpool refused. */
static bool
apply(PCPConnInfo *pcp, const char *pgpool, int backend, Remedy remedy, int member)
{
	static const char *const words[] = {"", "attach", "promote", "detach"};
	const char *node = conf->members.member[member].name;
	Told	   *before = told_before(member, remedy);
	PCPResultInfo *result = NULL;

	if (before->count > 0 && pgha_session_clock() - before->at < before->pause)
		return true;
	switch (remedy)
	{
		case REMEDY_NONE:
			return true;
		case REMEDY_ATTACH:
			result = pcp_attach_node(pcp, backend);
			break;
		case REMEDY_PROMOTE:
			result = pcp_promote_node(pcp, backend, false);
			break;
		case REMEDY_DETACH:
			result = pcp_detach_node(pcp, backend);
			break;
	}
	if (succeeded(pcp, result))
	{
		note_told(before, pgpool, words[remedy], backend, node);
		return true;
	}
	complain("pgpool %s: could not %s node %d (\"%s\"): %s", pgpool, words[remedy], backend, node,
			 pcp_get_last_error(pcp) != NULL ? pcp_get_last_error(pcp) : "no reason given");
	return false;
}

/*
 * Makes pgpool's books agree about one backend.  True if they did already.  The
 * primary comes first, before the standbys are attached.
 */
static bool
correct_backend(PCPConnInfo *pcp, const char *pgpool, int backend, bool primary_only)
{
	PCPResultInfo *result = pcp_node_info(pcp, backend);
	const BackendInfo *info;
	int			member;
	Remedy		remedy;

	if (!succeeded(pcp, result) || (info = pcp_get_binary_data(result, 0)) == NULL)
	{
		complain("pgpool %s: could not ask for node %d", pgpool, backend);
		return false;
	}
	member = member_of(info->backend_hostname, info->backend_port);
	if (member == PGHA_NOBODY || (role[member] == KNOWN_PRIMARY) != primary_only)
		return true;
	remedy = remedy_for(role[member], info);
	return apply(pcp, pgpool, backend, remedy, member) && remedy == REMEDY_NONE;
}

/* Logs in, and gets the number of backends (0 if it could not); NULL after a line in the log. */
static PCPConnInfo *
log_in(const char *name, char *host, int port, int *count)
{
	char		password[256];
	PCPConnInfo *pcp;
	PCPResultInfo *result;

	*count = 0;
	if (!find_password(host, port, password, sizeof(password)))
		return NULL;
	pcp = pcp_connect(host, port, (char *) conf->pgpool_user, password, NULL);
	explicit_bzero(password, sizeof(password));
	if (pcp == NULL || PCPConnectionStatus(pcp) != PCP_CONNECTION_OK)
	{
		complain("pgpool %s: could not log in over PCP: %s", name,
				 pcp != NULL && pcp_get_last_error(pcp) != NULL ? pcp_get_last_error(pcp) : "no answer");
		return NULL;
	}
	result = pcp_node_count(pcp);
	if (succeeded(pcp, result))
		*count = pcp_get_int_data(result, 0);
	return pcp;
}

/* Makes one pgpool agree.  True if it did already: what is told now is checked the next time. */
static bool
correct_pgpool(char *host, int port)
{
	char		name[PGHA_HOST_SIZE + 16];
	PCPConnInfo *pcp;
	int			count;
	bool		agrees = true;

	(void) snprintf(name, sizeof(name), "%s:%d", host, port);
	pcp = log_in(name, host, port, &count);
	if (pcp == NULL)
		return false;
	for (int primary_only = 1; primary_only >= 0 && agrees; primary_only--)
	{
		for (int i = 0; i < count; i++)
			agrees &= correct_backend(pcp, name, i, primary_only != 0);
	}
	pcp_disconnect(pcp);
	return agrees && count > 0;
}

static int
exit_code(bool agrees)
{
	return failed ? PGHA_PGPOOL_FAILED : agrees ? PGHA_PGPOOL_AGREES : PGHA_PGPOOL_LATER;
}

/* Each in a process of its own: one whose host is gone must not keep the others. */
static pid_t
start_one(int number, char *host, int port)
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
		pid[i] = start_one(i, pgpools.pgpool[i].host, pgpools.pgpool[i].port);
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

/* In a new process: nothing of the caller's is left, and it ends in time. */
static void
begin_process(const PghaAgentConf *configuration, unsigned limit_s)
{
	for (int i = 1; i < NSIG; i++)
		(void) signal(i, SIG_DFL);
	(void) signal(SIGPIPE, SIG_IGN);
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		(void) close(fd);
	(void) alarm(limit_s);
	conf = configuration;
}

pid_t
pgha_pgpool_tell(const PghaAgentConf *configuration)
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
	begin_process(configuration, LIMIT_S);
	_exit(tell_all());
}

/* The process of pgha_pgpool_try(): what it logs goes to the caller; its exit code is the count. */
static void
try_one(const char *host, int port)
{
	char		name[PGHA_HOST_SIZE + 16];
	char		copy[PGHA_HOST_SIZE];
	int			count;
	PCPConnInfo *pcp;

	(void) snprintf(name, sizeof(name), "%s:%d", host, port);
	(void) snprintf(copy, sizeof(copy), "%s", host);
	pcp = log_in(name, copy, port, &count);
	if (pcp != NULL)
		pcp_disconnect(pcp);
	_exit(count < 255 ? count : 254);
}

int
pgha_pgpool_try(const PghaAgentConf *configuration, const char *host, int port,
				char *error, size_t error_size)
{
	int			ends[2];
	pid_t		pid;
	size_t		length = 0;
	ssize_t		got;
	int			status = 0;
	const char *prefix = "pgha agent: ";

	(void) fflush(NULL);
	if (pipe(ends) != 0 || (pid = fork()) < 0)
	{
		(void) snprintf(error, error_size, "could not start a process: %s", strerror(errno));
		return -1;
	}
	if (pid == 0)
	{
		(void) dup2(ends[1], STDERR_FILENO);
		begin_process(configuration, TRY_LIMIT_S);
		try_one(host, port);
	}
	(void) close(ends[1]);
	while (length + 1 < error_size &&
		   ((got = read(ends[0], error + length, error_size - 1 - length)) > 0 || (got < 0 && errno == EINTR)))
		length += got > 0 ? (size_t) got : 0;
	error[length] = '\0';
	(void) close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	error[strcspn(error, "\n")] = '\0';
	if (strncmp(error, prefix, strlen(prefix)) == 0)
		memmove(error, error + strlen(prefix), strlen(error + strlen(prefix)) + 1);
	if (WIFEXITED(status) && WEXITSTATUS(status) > 0)
		return WEXITSTATUS(status);
	if (WIFSIGNALED(status) || *error == '\0')
		(void) snprintf(error, error_size, "pgpool %s:%d: no answer within %d s", host, port, TRY_LIMIT_S);
	return -1;
}
