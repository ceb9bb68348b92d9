/*
 * setup_plan.c
 *		The changes of files that set up a node: made as a whole, shown, written,
 *		taken back; and the record of them, by which `pgha leave` finds them.
 *
 * For `pgha create`, `pgha join` and `pgha leave`.  A file is replaced as a whole and
 * durably, or not at all.  What is ours in a file of somebody else stands between two
 * comments, so that taking it out gives back what was there, byte for byte.
 */
#include "setup_plan.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../common/fields.h"
#include "../host/durable.h"

#define BEGIN		"# BEGIN pgha: written by \"pgha create\" or \"pgha join\", taken out by \"pgha leave\"\n"
#define BEGIN_CUT	"\n# BEGIN pgha: written by \"pgha create\" or \"pgha join\", taken out by \"pgha leave\"; no line end before\n"
#define END			"# END pgha\n"
#define RECORD		"setup"

void
pgha_setup_step(void)
{
#ifdef PGHA_TEST_HOOKS
	static int	step = 0;
	const char *at = getenv("PGHA_TEST_DIES_AT");

	if (at != NULL && ++step == atoi(at))
		(void) raise(SIGKILL);
#endif
}

/* ---- the lines of ours in a text ---- */

char *
pgha_plan_without_lines(const char *text, bool *found)
{
	char	   *without = strdup(text);
	char	   *begin = without != NULL ? strstr(without, BEGIN_CUT) : NULL;
	char	   *end;

	*found = false;
	if (without != NULL && begin == NULL)
	{
		/* At the beginning of a line. */
		begin = strstr(without, BEGIN);
		while (begin != NULL && begin > without && begin[-1] != '\n')
			begin = strstr(begin + 1, BEGIN);
	}
	end = begin != NULL ? strstr(begin, "\n" END) : NULL;
	if (end == NULL)
		return without;
	end += 1 + strlen(END);
	memmove(begin, end, strlen(end) + 1);
	*found = true;
	return without;
}

static char *
with_lines(const char *text, const char *lines, bool top)
{
	size_t		size = strlen(text) + strlen(lines) + strlen(BEGIN_CUT) + strlen(END) + 1;
	char	   *with = malloc(size);
	bool		cut = !top && text[0] != '\0' && text[strlen(text) - 1] != '\n';

	if (with != NULL)
		(void) snprintf(with, size, "%s%s%s%s%s", top ? "" : text, cut ? BEGIN_CUT : BEGIN, lines, END, top ? text : "");
	return with;
}

/* ---- the plan ---- */

/* A file that a link leads to is changed where it is. */
static PghaEdit *
add_edit(PghaPlan *plan, const char *path, mode_t mode, char *error, size_t error_size)
{
	PghaEdit   *edit = &plan->edit[plan->count];
	struct stat st;

	if (plan->count == PGHA_PLAN_MAX)
	{
		(void) pgha_fail(error, error_size, "too many files");
		return NULL;
	}
	memset(edit, 0, sizeof(*edit));
	if (realpath(path, edit->path) == NULL)
		(void) snprintf(edit->path, sizeof(edit->path), "%s", path);
	edit->mode = stat(edit->path, &st) == 0 ? st.st_mode & 07777 : mode;
	edit->before = pgha_read_file(edit->path, NULL);
	if (edit->before == NULL && errno != ENOENT)
	{
		(void) pgha_fail(error, error_size, "could not read file \"%s\": %s", edit->path, strerror(errno));
		return NULL;
	}
	plan->count++;
	return edit;
}

bool
pgha_plan_file(PghaPlan *plan, const char *path, const PghaText *text, mode_t mode, bool secret,
			   char *error, size_t error_size)
{
	PghaEdit   *edit = add_edit(plan, path, mode, error, error_size);

	if (edit == NULL)
		return false;
	if (!pgha_text_fits(text) || (edit->after = strdup(text->text)) == NULL)
		return pgha_fail(error, error_size, "file \"%s\" would become too long", path);
	edit->secret = secret;
	edit->mode = mode;
	return true;
}

bool
pgha_plan_lines(PghaPlan *plan, const char *path, const PghaText *lines, bool top, char *error, size_t error_size)
{
	PghaEdit   *edit = add_edit(plan, path, 0600, error, error_size);
	char	   *without;
	bool		found;

	if (edit == NULL)
		return false;
	without = pgha_plan_without_lines(edit->before != NULL ? edit->before : "", &found);
	if (without != NULL && pgha_text_fits(lines))
		edit->after = with_lines(without, lines->text, top);
	edit->lines = strdup(lines->text);
	free(without);
	return (edit->after != NULL && edit->lines != NULL) ||
		pgha_fail(error, error_size, "file \"%s\" would become too long", path);
}

bool
pgha_plan_remove(PghaPlan *plan, const char *path, const PghaText *text, char *error, size_t error_size)
{
	PghaEdit   *edit = add_edit(plan, path, 0600, error, error_size);

	if (edit != NULL && text != NULL)
		edit->after = strdup(text->text);
	return edit != NULL && (text == NULL || (pgha_text_fits(text) && edit->after != NULL));
}

bool
pgha_plan_take_out(PghaPlan *plan, const char *path, char *error, size_t error_size)
{
	PghaEdit   *edit = add_edit(plan, path, 0600, error, error_size);
	bool		found = false;

	if (edit == NULL)
		return false;
	if (edit->before != NULL)
		edit->after = pgha_plan_without_lines(edit->before, &found);
	edit->taken_out = true;
	return edit->before == NULL || edit->after != NULL || pgha_fail(error, error_size, "out of memory");
}

bool
pgha_plan_changes(const PghaEdit *edit)
{
	return edit->before == NULL ? edit->after != NULL : edit->after == NULL || strcmp(edit->before, edit->after) != 0;
}

static void
show_lines(const char *text, const char *sign, FILE *out)
{
	while (*text != '\0')
	{
		size_t		length = strcspn(text, "\n");
		char		line[4096];

		(void) snprintf(line, sizeof(line), "%.*s", (int) (length < sizeof(line) ? length : sizeof(line) - 1), text);
		(void) fprintf(out, "  %s %s\n", sign, pgha_shown(line, false));
		text += length + (text[length] != '\0');
	}
}

void
pgha_plan_show(const PghaPlan *plan, FILE *out)
{
	for (int i = 0; i < plan->count; i++)
	{
		const PghaEdit *edit = &plan->edit[i];

		if (!pgha_plan_changes(edit))
			continue;
		(void) fprintf(out, "%s (%s)\n", edit->path, edit->after == NULL ? "removed" : edit->before == NULL ? "new" :
					   edit->taken_out ? "lines taken out" : edit->lines != NULL ? "lines added" : "replaced");
		if (edit->secret)
			(void) fprintf(out, "  (the password is not shown; mode %04o)\n", (unsigned) edit->mode);
		else if (edit->after != NULL && !edit->taken_out)
			show_lines(edit->lines != NULL ? edit->lines : edit->after, "+", out);
		(void) fprintf(out, "\n");
	}
}

static bool
write_edit(const PghaEdit *edit, const char *text, char *error, size_t error_size)
{
	mode_t		mask;
	bool		done;

	if (text == NULL)
		return ((unlink(edit->path) == 0 || errno == ENOENT) && pgha_sync_parent(edit->path)) ||
			pgha_fail(error, error_size, "could not remove file \"%s\": %s", edit->path, strerror(errno));
	/* A file that was there keeps its mode. */
	mask = umask(0);
	done = pgha_write_file(edit->path, text, strlen(text), edit->mode, true) ||
		pgha_fail(error, error_size, "could not write file \"%s\": %s", edit->path, strerror(errno));
	(void) umask(mask);
	return done;
}

bool
pgha_plan_write(PghaPlan *plan, int count, char *error, size_t error_size)
{
	for (int i = 0; i < count; i++)
	{
		PghaEdit   *edit = &plan->edit[i];

		if (edit->written || !pgha_plan_changes(edit))
			continue;
		edit->written = true;
		if (!write_edit(edit, edit->after, error, error_size))
			return false;
		pgha_setup_step();
	}
	return true;
}

bool
pgha_plan_revert(PghaPlan *plan, char *error, size_t error_size)
{
	bool		done = true;

	for (int i = plan->count - 1; i >= 0; i--)
	{
		PghaEdit   *edit = &plan->edit[i];
		char	   *before = NULL;
		bool		found;

		if (!edit->written)
			continue;
		/* What an earlier call that was killed has left there goes, too. */
		if (edit->before != NULL && edit->lines != NULL)
			before = pgha_plan_without_lines(edit->before, &found);
		done &= write_edit(edit, before != NULL ? before : edit->lines != NULL ? edit->before : NULL, error, error_size);
		free(before);
		edit->written = false;
	}
	return done;
}

void
pgha_plan_free(PghaPlan *plan)
{
	for (int i = 0; i < plan->count; i++)
	{
		if (plan->edit[i].secret && plan->edit[i].after != NULL)
			explicit_bzero(plan->edit[i].after, strlen(plan->edit[i].after));
		free(plan->edit[i].before);
		free(plan->edit[i].after);
		free(plan->edit[i].lines);
	}
	plan->count = 0;
}

/* ---- the record ---- */

uint64_t
pgha_record_hash(const char *text)
{
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
	return hash;
}

static bool
take_record_line(PghaRecord *record, const char *line)
{
	unsigned long long hash;
	int			at = 0;

	if (strcmp(line, "pgha setup 1") == 0)
		return true;
	if (strcmp(line, "done") == 0)
		return record->done = true;
	if (strcmp(line, "joined") == 0)
		return record->joined = true;
	if (strcmp(line, "made data") == 0)
		return record->made_data = true;
	if (strcmp(line, "made role") == 0)
		return record->made_role = true;
	if (strcmp(line, "made extension") == 0)
		return record->made_extension = true;
	if (strncmp(line, "kept /", 6) == 0)
		return snprintf(record->kept, sizeof(record->kept), "%s", line + 5) < (int) sizeof(record->kept);
	if (record->count == PGHA_PLAN_MAX ||
		(sscanf(line, "file %16llx %n", &hash, &at), at == 0 && (sscanf(line, "lines %16llx %n", &hash, &at), at == 0)) ||
		line[at] != '/')
		return false;
	record->file[record->count].hash = hash;
	record->file[record->count].lines = line[0] == 'l';
	(void) snprintf(record->file[record->count].path, PATH_MAX, "%s", line + at);
	record->count++;
	return true;
}

bool
pgha_record_read(const char *directory, PghaRecord *record, bool *found, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	char	   *rest;
	bool		read = true;

	memset(record, 0, sizeof(*record));
	(void) snprintf(path, sizeof(path), "%s/" RECORD, directory);
	text = pgha_read_file(path, NULL);
	*found = text != NULL;
	if (text == NULL)
		return errno == ENOENT || pgha_fail(error, error_size, "could not read file \"%s\": %s", path, strerror(errno));
	rest = text;
	for (char *line; read && (line = strsep(&rest, "\n")) != NULL;)
		read = line[0] == '\0' || take_record_line(record, line);
	free(text);
	return read || pgha_fail(error, error_size, "file \"%s\" is not what this version of pgha writes", path);
}

bool
pgha_record_write(const char *directory, PghaRecord *record, const PghaPlan *plan, char *error, size_t error_size)
{
	static PghaText text;
	char		path[PATH_MAX + 32];

	if (plan != NULL)
	{
		record->count = plan->count;
		for (int i = 0; i < plan->count; i++)
		{
			(void) snprintf(record->file[i].path, PATH_MAX, "%s", plan->edit[i].path);
			record->file[i].lines = plan->edit[i].lines != NULL;
			record->file[i].hash = pgha_record_hash(plan->edit[i].after);
		}
	}
	text.length = 0;
	pgha_text_put(&text, "pgha setup 1\n%s%s%s%s%s", record->done ? "done\n" : "", record->joined ? "joined\n" : "",
				  record->made_data ? "made data\n" : "", record->made_role ? "made role\n" : "",
				  record->made_extension ? "made extension\n" : "");
	if (record->kept[0] != '\0')
		pgha_text_put(&text, "kept %s\n", record->kept);
	for (int i = 0; i < record->count; i++)
		pgha_text_put(&text, "%s %016llx %s\n", record->file[i].lines ? "lines" : "file",
					  (unsigned long long) record->file[i].hash, record->file[i].path);
	(void) snprintf(path, sizeof(path), "%s/" RECORD, directory);
	if (!pgha_make_directory(directory))
		return pgha_fail(error, error_size, "could not create directory \"%s\": %s", directory, strerror(errno));
	return pgha_text_write(&text, path, 0600, error, error_size);
}

bool
pgha_record_remove(const char *directory, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/" RECORD, directory);
	return ((unlink(path) == 0 || errno == ENOENT) && pgha_sync_parent(path)) ||
		pgha_fail(error, error_size, "could not remove file \"%s\": %s", path, strerror(errno));
}
