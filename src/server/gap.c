/*
 * gap.c
 *		What a segment switch left empty.
 *
 * archive_timeout and pg_switch_wal() end a segment early: WAL positions go on at
 * the next one, and all pages in between are zero.  They are sent to the standbys
 * like any others.  One that has not got them yet looks up to a segment behind,
 * and lacks nothing.
 *
 * Reads a few page headers, once in each segment.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "storage/fd.h"

#include "gap.h"

static int
open_segment(uint32 timeline, XLogSegNo segment)
{
	char		path[MAXPGPATH];

	XLogFilePath(path, timeline, segment, wal_segment_size);
	return OpenTransientFile(path, O_RDONLY | PG_BINARY);
}

/* A page that holds WAL, be it the end of one record only, has a header. */
static bool
page_is_empty(int fd, uint32 page)
{
	XLogPageHeaderData header;

	return pg_pread(fd, &header, sizeof(header), (off_t) page * XLOG_BLCKSZ) == (ssize_t) sizeof(header) &&
		header.xlp_magic == 0 && header.xlp_info == 0 && header.xlp_tli == 0 && header.xlp_pageaddr == 0;
}

/* Where the last record on the page ends, as an offset in the segment. */
static uint32
end_of_page(int fd, uint32 page)
{
	char		text[XLOG_BLCKSZ];
	int			length = XLOG_BLCKSZ;

	if (pg_pread(fd, text, sizeof(text), (off_t) page * XLOG_BLCKSZ) != (ssize_t) sizeof(text))
		return (page + 1) * XLOG_BLCKSZ;
	while (length > 0 && text[length - 1] == '\0')
		length--;
	return page * XLOG_BLCKSZ + MAXALIGN(length);
}

void
PghaGapBefore(uint32 timeline, pgha_lsn end, PghaGap *gap)
{
	static PghaGap last;
	static XLogSegNo looked = 0;
	XLogSegNo	segment = end / wal_segment_size;
	uint32		full = 0;		/* this page is not empty, a later one is */
	uint32		empty = wal_segment_size / XLOG_BLCKSZ - 1;
	int			fd;

	if (segment != looked && segment > 0)
	{
		looked = segment;
		memset(&last, 0, sizeof(last));
		fd = open_segment(timeline, segment - 1);
		if (fd >= 0 && page_is_empty(fd, empty) && !page_is_empty(fd, full))
		{
			while (empty - full > 1)
			{
				uint32		middle = full + (empty - full) / 2;

				if (page_is_empty(fd, middle))
					empty = middle;
				else
					full = middle;
			}
			last.from = (segment - 1) * wal_segment_size + end_of_page(fd, full);
			last.to = segment * wal_segment_size;
		}
		if (fd >= 0)
			CloseTransientFile(fd);
	}
	*gap = last;
}

void
PghaGapBehind(uint32 timeline, pgha_lsn end, PghaGap *gap)
{
	static PghaGap last;
	static pgha_lsn looked = 0;
	uint32		page = end > 0 ? (uint32) ((end - 1) % wal_segment_size / XLOG_BLCKSZ) : 0;
	int			fd;

	if (end != looked)
	{
		looked = end;
		memset(&last, 0, sizeof(last));

		/* Of the page at the end so much must be there as shows that it has no header. */
		if (page > 0 && end % wal_segment_size != 0 &&
			(end - 1) % XLOG_BLCKSZ + 1 >= sizeof(XLogPageHeaderData) &&
			(fd = open_segment(timeline, (end - 1) / wal_segment_size)) >= 0)
		{
			if (page_is_empty(fd, page))
			{
				last.from = end;
				last.to = ((end - 1) / wal_segment_size + 1) * wal_segment_size;
			}
			CloseTransientFile(fd);
		}
	}
	*gap = last;
}
