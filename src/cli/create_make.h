/*
 * create_make.h
 *		Makes a server the first node of a cluster, as create.c has planned it.
 */
#ifndef PGHA_CLI_CREATE_MAKE_H
#define PGHA_CLI_CREATE_MAKE_H

#include "setup_database.h"
#include "setup_node.h"

/*
 * False with the reason in setup->error: it is taken back then, or setup->hint says
 * what is left.  setup->record.done: the node leads; otherwise root has to restart
 * the server, which was said.
 */
extern bool pgha_create_make(PghaSetup *setup);

#endif							/* PGHA_CLI_CREATE_MAKE_H */
