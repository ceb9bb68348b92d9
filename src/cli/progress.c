/*
 * progress.c
 *		How far a recovery is, as a line with a bar.
 *
 * Plain ASCII, so that it looks the same on a serial console.
 *
 * For `pgha status` and `pgha recover`.  Pure: it makes text of a row of
 * pgha_recovery_progress(), and prints nothing.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "table.h"
#include "terminal.h"

#define MB				(1024.0 * 1024.0)
#define RATE_OVER_MS	10000
#define BAR_MIN			8
#define BAR_MAX			40

bool
pgha_progress_read(const json_t *row, PghaProgress *progress)
{
	memset(progress, 0, sizeof(*progress));
	if (!json_is_integer(json_object_get(row, "job")))
		return false;
	progress->job = json_integer_value(json_object_get(row, "job"));
	pgha_table_value(json_object_get(row, "node"), progress->node, sizeof(progress->node));
	pgha_table_value(json_object_get(row, "method"), progress->method, sizeof(progress->method));
	pgha_table_value(json_object_get(row, "phase"), progress->phase, sizeof(progress->phase));
	pgha_table_value(json_object_get(row, "message"), progress->message, sizeof(progress->message));
	pgha_table_value(json_object_get(row, "outcome"), progress->outcome, sizeof(progress->outcome));
	progress->done = json_integer_value(json_object_get(row, "done_bytes"));
	progress->total = json_integer_value(json_object_get(row, "total_bytes"));
	progress->seconds = json_number_value(json_object_get(row, "seconds"));
	return true;
}

/* ---- rate ---- */

void
pgha_rate_look(PghaRate *rate, const PghaProgress *progress, long long now_ms)
{
	int			drop = 0;

	if (rate->job != progress->job || strcmp(rate->phase, progress->phase) != 0 ||
		(rate->count > 0 && rate->done[rate->count - 1] > progress->done))
	{
		rate->count = 0;
		rate->job = progress->job;
		(void) snprintf(rate->phase, sizeof(rate->phase), "%s", progress->phase);
	}
	/* Two are kept: with looks that are far apart they are all there is. */
	while (rate->count - drop >= 2 &&
		   (rate->count - drop == PGHA_RATE_SAMPLES || now_ms - rate->at[drop] > RATE_OVER_MS))
		drop++;
	rate->count -= drop;
	memmove(rate->at, rate->at + drop, sizeof(rate->at[0]) * (size_t) rate->count);
	memmove(rate->done, rate->done + drop, sizeof(rate->done[0]) * (size_t) rate->count);
	rate->at[rate->count] = now_ms;
	rate->done[rate->count++] = progress->done;
}

double
pgha_rate(const PghaRate *rate)
{
	int			last = rate->count - 1;

	if (last < 1 || rate->at[last] - rate->at[0] < 500)
		return -1;
	return (double) (rate->done[last] - rate->done[0]) * 1000.0 / (double) (rate->at[last] - rate->at[0]);
}

/* ---- line ---- */

/* The parts of a line, in order; which of them are there. */
typedef struct Parts
{
	char		phase[40];
	char		percent[16];
	char		amount[48];
	char		rate[24];
	char		left[24];
	char		age[24];
} Parts;

/* "0:07", "12:34", "1:02:03" */
static void
format_time(double seconds, char *out, size_t size)
{
	unsigned	s = seconds < 0 ? 0 : seconds > 359999 ? 359999 : (unsigned) seconds;

	if (s < 3600)
		(void) snprintf(out, size, "%u:%02u", s / 60, s % 60);
	else
		(void) snprintf(out, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
}

static void
make_parts(const PghaProgress *progress, double rate, Parts *parts)
{
	char		time[16];
	json_int_t	done = progress->done < progress->total ? progress->done : progress->total;

	memset(parts, 0, sizeof(*parts));
	(void) snprintf(parts->phase, sizeof(parts->phase), "%s", progress->phase[0] != '\0' ? progress->phase : "waiting");
	format_time(progress->seconds, time, sizeof(time));
	(void) snprintf(parts->age, sizeof(parts->age), "  %.15s", time);
	if (progress->total <= 0)
		return;
	(void) snprintf(parts->percent, sizeof(parts->percent), "  %5.1f %%", (double) done * 100.0 / (double) progress->total);
	(void) snprintf(parts->amount, sizeof(parts->amount), "  %.0f/%.0f MB", (double) progress->done / MB, (double) progress->total / MB);
	if (rate < 0)
		return;
	(void) snprintf(parts->rate, sizeof(parts->rate), "  %.1f MB/s", rate / MB);
	if (rate >= 1)
	{
		format_time((double) (progress->total - done) / rate, time, sizeof(time));
		(void) snprintf(parts->left, sizeof(parts->left), "  ETA %.15s", time);
	}
}

static int
parts_width(const Parts *parts)
{
	return (int) (strlen(parts->phase) + strlen(parts->percent) + strlen(parts->amount) +
				  strlen(parts->rate) + strlen(parts->left) + strlen(parts->age));
}

/* Leaves parts out, the least important first, until `width` holds them. */
static void
fit_parts(Parts *parts, int width)
{
	char	   *victims[] = {parts->age, parts->rate, parts->amount, parts->left};

	for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]) && parts_width(parts) > width; i++)
		victims[i][0] = '\0';
}

/* "  [#####-----]" of the given width */
static void
make_bar(const PghaProgress *progress, int width, char *bar)
{
	int			cells = width - 4;
	double		part = (double) progress->done / (double) progress->total;
	int			full = (int) ((part > 1 ? 1 : part) * cells);

	strcpy(bar, "  [");
	for (int i = 0; i < cells; i++)
		bar[3 + i] = i < full ? '#' : '-';
	strcpy(bar + 3 + cells, "]");
}

/* Cuts a UTF-8 text after `width` characters. */
static void
cut(char *text, int width)
{
	int			count = 0;

	for (; *text != '\0'; text++)
	{
		if (((unsigned char) *text & 0xC0) != 0x80 && ++count > width)
		{
			*text = '\0';
			return;
		}
	}
}

void
pgha_progress_line(const PghaProgress *progress, double bytes_per_second, int width, char *line, size_t size)
{
	Parts		parts;
	char		bar[BAR_MAX + 8] = "";
	bool		known = progress->total > 0;
	int			room;

	make_parts(progress, bytes_per_second, &parts);
	fit_parts(&parts, known && width > 30 ? width - BAR_MIN - 4 : width);
	room = width - parts_width(&parts);
	if (known && room >= BAR_MIN + 4)
		make_bar(progress, room < BAR_MAX + 4 ? room : BAR_MAX + 4, bar);
	(void) snprintf(line, size, "%s%s%s%s%s%s%s", parts.phase, bar, parts.percent, parts.amount, parts.rate, parts.left, parts.age);
	if (!known && progress->message[0] != '\0' && room > 10)
	{
		char		message[sizeof(progress->message)];

		strcpy(message, progress->message);
		cut(message, room - 2);
		(void) snprintf(line, size, "%s%s  %s", parts.phase, parts.age, message);
	}
	cut(line, width);
}
