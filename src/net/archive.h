/*
 * archive.h
 *		`pgha io archive`: the child that asks the archive on the server's behalf.
 */
#ifndef PGHA_NET_ARCHIVE_H
#define PGHA_NET_ARCHIVE_H

#include "io_line.h"

/* Serves requests until the input is at its end. */
extern void pgha_io_archive(PghaIoInput *input);

#endif							/* PGHA_NET_ARCHIVE_H */
