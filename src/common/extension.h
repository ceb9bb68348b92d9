/*
 * extension.h
 *		Where the extension's functions are: it may be in any schema.
 */
#ifndef PGHA_EXTENSION_H
#define PGHA_EXTENSION_H

/* Its schema, quoted for use in a query; empty if it is not in this database. */
#define PGHA_EXTENSION_SCHEMA_QUERY \
	"SELECT coalesce((SELECT pg_catalog.quote_ident(n.nspname)" \
	" FROM pg_catalog.pg_extension e" \
	" JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace" \
	" WHERE e.extname = 'pgha'), '')"

#endif							/* PGHA_EXTENSION_H */
