/*
 * agent.h
 *		What the parts of `pgha agent` share.
 */
#ifndef PGHA_AGENT_H
#define PGHA_AGENT_H

/* A line in the agent's log, which is stderr. */
extern void pgha_agent_log(const char *format,...) __attribute__((format(printf, 1, 2)));

#endif							/* PGHA_AGENT_H */
