/*
 * vip_conf.h
 *		Settings of `pgha vip`: options, environment, configuration file.
 */
#ifndef PGHA_VIP_CONF_H
#define PGHA_VIP_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "../common/address_spec.h"

#define PGHA_VIP_CONFIG		"/etc/pgha/vip.conf"

typedef enum PghaVipSetting
{
	VIP_ADDRESS, VIP_KIND, VIP_INTERFACE, VIP_PREFIX, VIP_ALLOCATION, VIP_TABLES, VIP_REGION,
	VIP_PROFILE, VIP_EC2_ENDPOINT, VIP_IMDS_ENDPOINT, VIP_INSECURE, VIP_TIMEOUT, VIP_SETTINGS
} PghaVipSetting;

/* What is set where; "" where it is not. */
typedef struct PghaVipConf
{
	char		value[VIP_SETTINGS][PGHA_ADDRESS_TEXT_SIZE];
} PghaVipConf;

/* The name of a setting in the file; as an option with hyphens. */
extern const char *pgha_vip_setting_name(PghaVipSetting setting);

/* Is it "on"?  Other words than on and off are refused by pgha_vip_conf_complete(). */
extern bool pgha_vip_conf_is_on(const PghaVipConf *conf, PghaVipSetting setting);

/* Sets a value, as an option does.  False with a sentence if it is too long. */
extern bool pgha_vip_conf_set(PghaVipConf *conf, PghaVipSetting setting, const char *value,
							  char *error, size_t error_size);

/*
 * Fills in what is not set from the environment (PGHA_VIP_...), and what is not
 * set there from the file; `file` NULL: that of PGHA_VIP_CONFIG in the
 * environment, or the default one, which need not exist.
 */
extern bool pgha_vip_conf_complete(PghaVipConf *conf, const char *file, char *error, size_t error_size);

/*
 * The address that is meant by `argument`: an ADDRESS with its kind, to which
 * interface and prefix length are added where they are missing, or an IP address,
 * to which all else is added; NULL: the setting "address".
 */
extern bool pgha_vip_conf_address(const PghaVipConf *conf, const char *argument, PghaAddressSpec *spec,
								  char *error, size_t error_size);

#endif							/* PGHA_VIP_CONF_H */
