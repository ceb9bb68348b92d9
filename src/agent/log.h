/*
 * log.h
 *		The agent's log.
 */
#ifndef PGHA_LOG_H
#define PGHA_LOG_H

/* Writes a line.  From any process of the agent. */
extern void pgha_agent_log(const char *format,...) __attribute__((format(printf, 1, 2)));

#endif							/* PGHA_LOG_H */
