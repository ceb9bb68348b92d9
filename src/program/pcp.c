#include "pcp.h"
pid_t pgha_pgpool_tell(const PghaAgentConf *conf) { (void) conf; return -1; }
