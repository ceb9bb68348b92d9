/*
 * notice.c
 *		What is told of by pgha.notify_command: events of pgha_events(), and what the
 *		agent itself sees while its server is down.
 *
 * For the process that tells (notify.c).  An event is told by the agent of the node
 * where it happened.  Where that one is not connected to the primary, as on a witness
 * or a host that is gone, the primary's agent tells it in its place, a little later.
 */
#include "notice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "../common/errors.h"
#include "tell.h"

#define SECOND_US		INT64_C(1000000)
/* What is older is no news: it is counted, and not told. */
#define MAX_AGE_US		(3600 * SECOND_US)
/* So long an agent is waited for that could tell it itself. */
#define OTHERS_FIRST_US	(10 * SECOND_US)
/* What happened elsewhere so long before this node led, the former primary's agent has told. */
#define BEFORE_LEAD_US	(30 * SECOND_US)

/*
 * All, each with who leads, whether this server does, and whether an agent of that node
 * is connected that tells: one of a witness does not.
 */
#define EVENTS_QUERY \
	"SELECT e.node, (extract(epoch FROM e.at) * 1000000)::bigint, e.kind, e.term, e.what," \
	" coalesce(p.agent, false) AND NOT coalesce(c.witness, false), s.leader, coalesce(s.state = 'primary', false)" \
	" FROM @.pgha_status() s" \
	" LEFT JOIN @.pgha_events() e ON true" \
	" LEFT JOIN @.pgha_recovery_progress() p ON p.node = e.node" \
	" LEFT JOIN @.pgha_cluster() c ON c.node = e.node" \
	" ORDER BY e.at, e.node"

int64_t
pgha_notice_clock_us(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

static int64_t
max_age_us(void)
{
#ifdef PGHA_TEST_HOOKS
	if (getenv("PGHA_TEST_NOTIFY_MAX_AGE") != NULL)
		return atoi(getenv("PGHA_TEST_NOTIFY_MAX_AGE")) * SECOND_US;
#endif
	return MAX_AGE_US;
}

/* ---- events ---- */

typedef enum Whose
{
	NOBODYS,					/* it was told, or is told by another agent */
	OURS,
	TOO_OLD,					/* it was ours */
	PERHAPS_OURS				/* if no other one does it */
} Whose;

static Whose
whose(const PghaNotified *notified, const char *self, const char *node, int64_t id, bool has_agent, int64_t now)
{
	const Whose ours = now - id > max_age_us() ? TOO_OLD : OURS;

	if (id <= pgha_notified_up_to(notified, node))
		return NOBODYS;
	if (strcmp(node, self) == 0)
		return ours;
	if (notified->leads_since == 0)
		return now - id > BEFORE_LEAD_US ? NOBODYS : PERHAPS_OURS;
	if (has_agent || id < notified->leads_since - BEFORE_LEAD_US)
		return NOBODYS;
	return now - id > OTHERS_FIRST_US ? ours : PERHAPS_OURS;
}

/* Room for another one: the oldest goes. */
static PghaNotice *
add_notice(PghaNotified *notified, PghaNotices *notices)
{
	if (notices->count == PGHA_NOTICES)
	{
		pgha_notified_pass(notified, notices->notice[0].node, notices->notice[0].at);
		notified->dropped++;
		notices->count--;
		memmove(&notices->notice[0], &notices->notice[1], (PGHA_NOTICES - 1) * sizeof(PghaNotice));
	}
	return memset(&notices->notice[notices->count++], 0, sizeof(PghaNotice));
}

static void
take_event(const PghaAgentConf *conf, PghaNotified *notified, PghaNotices *notices, const PGresult *result, int row, int64_t now)
{
	const char *self = conf->members.member[conf->self].name;
	const char *node = PQgetvalue(result, row, 0);
	int64_t		id = strtoll(PQgetvalue(result, row, 1), NULL, 10);
	const char *what = PQgetvalue(result, row, 4);
	const char *kind = pgha_event_told_kind(PQgetvalue(result, row, 2), what);
	bool		has_agent = PQgetvalue(result, row, 5)[0] == 't';
	PghaNotice *notice;

	switch (whose(notified, self, node, id, has_agent, now))
	{
		case NOBODYS:
			pgha_notified_pass(notified, node, id);
			return;
		case PERHAPS_OURS:
			notices->look_again = notified->leads_since != 0;
			return;
		case TOO_OLD:
			notified->dropped += pgha_event_kinds_have(conf->notify_events, kind) ? 1 : 0;
			pgha_notified_pass(notified, node, id);
			return;
		case OURS:
			break;
	}
	if (!pgha_event_kinds_have(conf->notify_events, kind))
	{
		/* Unless one before it still waits: they are passed one after the other. */
		for (int i = 0; i < notices->count; i++)
			if (strcmp(notices->notice[i].node, node) == 0)
				return;
		pgha_notified_pass(notified, node, id);
		return;
	}
	notice = add_notice(notified, notices);
	(void) snprintf(notice->id, sizeof(notice->id), "%s:%lld", node, (long long) id);
	(void) snprintf(notice->node, sizeof(notice->node), "%s", node);
	(void) snprintf(notice->kind, sizeof(notice->kind), "%s", kind);
	notice->severity = pgha_event_told_severity(kind);
	notice->term = strtoull(PQgetvalue(result, row, 3), NULL, 10);
	notice->at = id;
	(void) snprintf(notice->text, sizeof(notice->text), "%s", what);
	(void) snprintf(notice->primary, sizeof(notice->primary), "%s", PQgetvalue(result, row, 6));
	notice->is_event = true;
}

bool
pgha_notices_ask(const PghaAgentConf *conf, PghaNotified *notified, PghaNotices *notices)
{
	int64_t		now = pgha_notice_clock_us();
	PGresult   *result = pgha_ask_own_server(conf, EVENTS_QUERY);

	if (result == NULL || PQntuples(result) == 0)
	{
		PQclear(result);
		return false;
	}
	notices->count = 0;
	notices->look_again = false;
	(void) snprintf(notices->primary, sizeof(notices->primary), "%s", PQgetvalue(result, 0, 6));
	if (PQgetvalue(result, 0, 7)[0] != 't')
		notified->leads_since = 0;
	else if (notified->leads_since == 0)
		notified->leads_since = now;
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!PQgetisnull(result, i, 0))
			take_event(conf, notified, notices, result, i, now);
	}
	PQclear(result);
	return true;
}

/* ---- recoveries of this node ---- */

static uint64_t
hash_failure(const PghaJobStatus *job)
{
	const char *const texts[] = {job->message, job->detail};
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (int i = 0; i < 2; i++)
	{
		for (const char *c = texts[i]; *c != '\0'; c++)
			hash = (hash ^ (unsigned char) *c) * UINT64_C(1099511628211);
	}
	return hash;
}

/* When the file of the job was last written; 0: not known. */
static int64_t
written_at(const PghaAgentConf *conf)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	(void) snprintf(path, sizeof(path), "%s/job", conf->directory);
	return stat(path, &st) == 0 ? st.st_mtim.tv_sec * SECOND_US + st.st_mtim.tv_nsec / 1000 : 0;
}

/* Is it the same as what was told before, or part of trying that again? */
static bool
is_repetition(const PghaNotified *notified, const PghaJobStatus *job, const char *outcome)
{
	if (job->order.id == notified->job && strcmp(outcome, notified->outcome) == 0)
		return true;
	if (job->order.ordered || strcmp(notified->outcome, "failed") != 0)
		return false;
	return strcmp(outcome, "begun") == 0 ||
		(strcmp(outcome, "failed") == 0 && hash_failure(job) == notified->failure);
}

bool
pgha_notice_of_job(const PghaAgentConf *conf, PghaNotified *notified, PghaNotice *notice)
{
	const char *self = conf->members.member[conf->self].name;
	PghaJobStatus job;
	const char *outcome;
	int64_t		at = written_at(conf);

	pgha_job_status(conf, &job);
	if (!job.known || (job.running == 0 && job.outcome[0] == '\0'))
		return false;
	outcome = job.running != 0 ? "begun" : job.outcome;
	if (is_repetition(notified, &job, outcome))
		return false;
	memset(notice, 0, sizeof(*notice));
	(void) snprintf(notice->id, sizeof(notice->id), "%s:recovery-%lld-%s", self, (long long) job.order.id, outcome);
	(void) snprintf(notice->node, sizeof(notice->node), "%s", self);
	(void) snprintf(notice->kind, sizeof(notice->kind), "recovery");
	notice->severity = strcmp(outcome, "failed") == 0 ? PGHA_SEVERITY_ERROR :
		strcmp(outcome, "done") == 0 ? PGHA_SEVERITY_LOG : PGHA_SEVERITY_WARNING;
	notice->at = at;
	(void) snprintf(notice->text, sizeof(notice->text), "recovery (%s) %s%s%.400s%s%.500s%s%.200s", pgha_method_word(job.order.method),
					outcome, job.message[0] != '\0' ? ": " : "", job.message,
					job.detail[0] != '\0' ? "; " : "", job.detail, job.hint[0] != '\0' ? "; " : "", job.hint);
	(void) snprintf(notice->primary, sizeof(notice->primary), "%.58s", job.leader);
	notice->failure = hash_failure(&job);
	if (at > notified->since && pgha_event_kinds_have(conf->notify_events, "recovery"))
	{
		if (pgha_notice_clock_us() - at < max_age_us())
			return true;
		notified->dropped++;
	}
	pgha_notice_told(notified, notice);
	return false;
}

/* ---- when it was told ---- */

void
pgha_notice_told(PghaNotified *notified, const PghaNotice *notice)
{
	const char *word = strrchr(notice->id, '-');

	if (notice->is_event)
		pgha_notified_pass(notified, notice->node, notice->at);
	else if (strcmp(notice->kind, "dropped") == 0)
		notified->dropped = 0;
	else if (word != NULL)
	{
		const char *job = strrchr(notice->id, ':');

		notified->job = strtoll(job + strlen(":recovery-"), NULL, 10);
		(void) snprintf(notified->outcome, sizeof(notified->outcome), "%s", word + 1);
		notified->failure = notice->failure;
	}
}

/* ---- the object ---- */

static json_t *
string_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

bool
pgha_notice_object(const PghaAgentConf *conf, const PghaNotice *notice, char *text, size_t size)
{
	static const char *const severities[] = {"info", "warning", "error"};
	char		clean[sizeof(notice->text)];
	char		at[64] = "";
	time_t		seconds = (time_t) (notice->at / SECOND_US);
	struct tm	parts;
	json_t	   *object;
	size_t		length;

	(void) snprintf(clean, sizeof(clean), "%s", notice->text);
	(void) pgha_shown(clean, false);
	if (gmtime_r(&seconds, &parts) != NULL)
		(void) strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &parts);
	(void) snprintf(at + strlen(at), sizeof(at) - strlen(at), ".%06dZ", (int) (notice->at % SECOND_US));
	object = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:o}",
					   "version", 1, "id", notice->id, "cluster", conf->cluster, "node", notice->node,
					   "reporter", conf->members.member[conf->self].name, "kind", notice->kind,
					   "severity", severities[notice->severity],
					   "term", notice->term != 0 ? json_integer((json_int_t) notice->term) : json_null(),
					   "at", at, "text", clean, "primary", string_or_null(notice->primary));
	if (object == NULL)
		return false;
	length = json_dumpb(object, text, size - 2, JSON_COMPACT);
	json_decref(object);
	if (length == 0 || length > size - 2)
		return false;
	text[length] = '\n';
	text[length + 1] = '\0';
	return true;
}
