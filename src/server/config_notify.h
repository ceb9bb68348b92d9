/*
 * config_notify.h
 *		The settings of how people and programs are told what happens: a part of
 *		config.c's set, which only the agent goes by.
 */
#ifndef PGHA_CONFIG_NOTIFY_H
#define PGHA_CONFIG_NOTIFY_H

#include "postgres.h"

/* Defines them. */
extern void PghaConfigNotifyInit(void);

/* Checks what of them is set.  False with a sentence and a hint. */
extern bool PghaConfigNotifyCheck(char *error, size_t error_size, char *hint, size_t hint_size);

#endif							/* PGHA_CONFIG_NOTIFY_H */
