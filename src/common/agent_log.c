/*
 * agent_log.c
 *		The lines of the agent's log.
 *
 * For the agent and all its processes, which write to the stderr that they have in
 * common; each line is written at once.  Everything is cleaned on the way
 * (errors.h), whoever has made it.
 *
 * In the server it is dead code: that has a log of its own.
 */
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"

/* Longer than three paths. */
#define LINE_SIZE	16384

static bool as_json = false;
static char own_node[64] = "";
static const char *own_process = "agent";

const char *
pgha_severity_word(PghaSeverity severity)
{
	static const char *const words[] = {"LOG", "WARNING", "ERROR"};

	return words[severity];
}

void
pgha_agent_log_setup(bool json, const char *node)
{
	as_json = json;
	(void) snprintf(own_node, sizeof(own_node), "%s", node);
}

void
pgha_agent_log_process(const char *process)
{
	own_process = process;
}

/* Is stderr the stream that systemd has connected to its journal?  A child's may be another. */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device;
	unsigned long long inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* Of the text, which has no control characters, as a string of JSON without its quotes. */
static void
put_json(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
			(void) fputc('\\', out);
		(void) fputc(*text, out);
	}
}

static void
put_text(FILE *out, PghaSeverity severity, const char *text)
{
	/* sd-daemon(3): info, warning, err. */
	static const char *const prefixes[] = {"<6>", "<4>", "<3>"};
	const bool	journal = is_journal();
	struct timespec now;
	struct tm	parts;
	char		day[32] = "";
	char		hour[32] = "";

	(void) clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &parts) != NULL)
	{
		(void) strftime(day, sizeof(day), "%Y-%m-%d", &parts);
		(void) strftime(hour, sizeof(hour), "%H:%M:%S", &parts);
	}
	if (journal)
		(void) fputs(prefixes[severity], out);
	if (as_json)
	{
		fprintf(out, "{\"ts\":\"%sT%s.%03ldZ\",\"severity\":\"%s\",\"node\":\"", day, hour, now.tv_nsec / 1000000,
				pgha_severity_word(severity));
		put_json(out, own_node);
		fprintf(out, "\",\"process\":\"%s\",\"pid\":%d,\"message\":\"", own_process, (int) getpid());
		put_json(out, text);
		(void) fputs("\"}\n", out);
	}
	else if (journal)
		fprintf(out, "%s:  %s\n", pgha_severity_word(severity), text);
	else
		fprintf(out, "%s %s.%03ld UTC [%d] %s:  %s\n", day, hour, now.tv_nsec / 1000000, (int) getpid(),
				pgha_severity_word(severity), text);
}

static void say(PghaSeverity severity, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Puts the line together first: several processes write to one file. */
static void
say(PghaSeverity severity, const char *format, va_list args)
{
	char		text[LINE_SIZE];
	char		line[2 * LINE_SIZE + 512];
	FILE	   *out = fmemopen(line, sizeof(line), "w");

	(void) vsnprintf(text, sizeof(text), format, args);
	(void) pgha_shown(text, false);
	if (out == NULL)
	{
		put_text(stderr, severity, text);
		return;
	}
	put_text(out, severity, text);
	(void) fclose(out);
	(void) fflush(stderr);
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
	{
		/* There is no other place to say it. */
	}
}

void
pgha_agent_log(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	say(PGHA_SEVERITY_LOG, format, args);
	va_end(args);
}

void
pgha_agent_warning(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	say(PGHA_SEVERITY_WARNING, format, args);
	va_end(args);
}

void
pgha_agent_error(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	say(PGHA_SEVERITY_ERROR, format, args);
	va_end(args);
}

void
pgha_agent_say(PghaSeverity severity, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	say(severity, format, args);
	va_end(args);
}
