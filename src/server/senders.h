/*
 * senders.h
 *		How far each member's WAL receiver is, as it has confirmed to this primary.
 */
#ifndef PGHA_SENDERS_H
#define PGHA_SENDERS_H

#include "../core/node.h"

/* Fills flushed and applied of the local observation, by member; 0 where none streams. */
extern void PghaSendersRead(const PghaSettings *settings, PghaLocal *local);

#endif							/* PGHA_SENDERS_H */
