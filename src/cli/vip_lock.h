/*
 * vip_lock.h
 *		One `pgha vip` of a user at a time for one address.
 */
#ifndef PGHA_VIP_LOCK_H
#define PGHA_VIP_LOCK_H

#include <stddef.h>

typedef enum PghaVipLock
{
	PGHA_VIP_LOCKED,
	PGHA_VIP_BUSY,				/* until the end; `text` says who: "process 123 of user postgres" */
	PGHA_VIP_NO_PLACE			/* there is no safe place for the file; `text` is a sentence why */
} PghaVipLock;

/* Waits for its turn until `end_ms` of pgha_awake_ms().  The lock goes with the process. */
extern PghaVipLock pgha_vip_lock(const char *address, long long end_ms, char *text, size_t size);

/* Gives it up, if there is one. */
extern void pgha_vip_unlock(void);

#endif							/* PGHA_VIP_LOCK_H */
