/*
 * control.h
 *		What pg_control says of a data directory.
 */
#ifndef PGHA_HOST_CONTROL_H
#define PGHA_HOST_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/lsn.h"
#include "conf.h"

typedef struct PghaControl
{
	uint64_t	system_identifier;
	char		state[64];		/* as pg_controldata says it: "in production", "shut down in recovery", ... */
	uint32_t	checkpoint_timeline;
	pgha_lsn	checkpoint_lsn;
	uint32_t	min_recovery_timeline;	/* 0 if none */
	pgha_lsn	min_recovery_lsn;
	bool		wal_log_hints;
	bool		checksums;
	bool		untouched;		/* shut down cleanly, and nothing was ever made in it since initdb */
	int			wal_segment_size;
} PghaControl;

/*
 * Reads it; that of a marked directory, too (mark.h).  False with a sentence in
 * `error` if it cannot be read as a whole, is another major version's, or its
 * checksum is wrong: then nothing is known of the directory.
 */
extern bool pgha_server_control(const PghaAgentConf *conf, PghaControl *control,
								char *error, size_t error_size);

#endif							/* PGHA_HOST_CONTROL_H */
