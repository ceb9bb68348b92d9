/*
 * own_slots.c
 *		PGDATA/pgha.slots: which replication slots are pgha's.
 *
 * A slot of a member is; when the member is removed, its slot is dropped, and
 * that must be known over a restart.  Anybody may have made another one whose name
 * begins with pgha_ as well: what is not listed here is left alone.  The file says
 * so for the slots that came with it, too, if the data directory was copied with
 * them.
 *
 * A line for each slot, and last one with a checksum.  What cannot be read counts
 * for nothing: slots of members are listed anew, others stay.  For the monitor
 * only.
 */
#include "postgres.h"

#include <fcntl.h>

#include "storage/fd.h"

#include "../core/node.h"
#include "files.h"
#include "own_slots.h"

#define SLOTS_FILE		"pgha.slots"
#define SLOTS_FILE_NEW	"pgha.slots.new"
#define MAX_OWN			(4 * PGHA_MAX_MEMBERS)
#define FILE_SIZE		(MAX_OWN * NAMEDATALEN + 32)

static char own[MAX_OWN][NAMEDATALEN];	/* in the order they were noted in */
static int	own_count = 0;
static bool loaded = false;
static bool changed = false;
static bool told = false;

static void
load(void)
{
	char		text[FILE_SIZE];
	char	   *sum;
	char	   *rest = text;
	char	   *line;

	if (loaded)
		return;
	loaded = true;
	if (PghaReadFile(SLOTS_FILE, text, sizeof(text)) < 0)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", SLOTS_FILE)));
		return;
	}
	sum = strstr(text, "crc=");
	if (sum == NULL || strtoul(sum + 4, NULL, 16) != PghaChecksum(text, sum - text))
	{
		ereport(LOG,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" is damaged and cannot be used", SLOTS_FILE),
				 errdetail("Slots of former members are left alone.")));
		return;
	}
	*sum = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && own_count < MAX_OWN)
		if (*line != '\0')
			strlcpy(own[own_count++], line, NAMEDATALEN);
}

static int
find(const char *name)
{
	load();
	for (int i = 0; i < own_count; i++)
		if (strcmp(own[i], name) == 0)
			return i;
	return -1;
}

bool
PghaSlotIsOwn(const char *name)
{
	return find(name) >= 0;
}

static void
forget(int index)
{
	own_count--;
	memmove(own[index], own[index + 1], (size_t) (own_count - index) * NAMEDATALEN);
	changed = true;
}

void
PghaSlotOwned(const char *name)
{
	if (find(name) >= 0)
		return;

	/* Members' are noted again and again: the oldest one is a former member's. */
	if (own_count == MAX_OWN)
		forget(0);
	strlcpy(own[own_count++], name, NAMEDATALEN);
	changed = true;
}

void
PghaSlotForgotten(const char *name)
{
	int			index = find(name);

	if (index >= 0)
		forget(index);
}

void
PghaOwnSlotsSave(void)
{
	char		text[FILE_SIZE];
	int			length = 0;

	if (!changed)
		return;
	for (int i = 0; i < own_count; i++)
		length += snprintf(text + length, sizeof(text) - length, "%s\n", own[i]);
	length += snprintf(text + length, sizeof(text) - length, "crc=%08X\n", PghaChecksum(text, length));
	if (PghaWriteFileSynced(SLOTS_FILE_NEW, O_TRUNC, text, length) &&
		rename(SLOTS_FILE_NEW, SLOTS_FILE) == 0 &&
		fsync_fname_ext(".", true, false, LOG) == 0)
	{
		changed = told = false;
		return;
	}
	if (!told)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", SLOTS_FILE)));
	told = true;
}
