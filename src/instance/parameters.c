// SPDX-License-Identifier: GPL-2.0-or-later
#include "parameters.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int usm_parameters_init(struct usm_parameters *parameters, const cJSON *object,
			struct usm_error *err)
{
	int n = object ? cJSON_GetArraySize(object) : 0;

	if (n > USM_PARAMETERS_MAX)
		return usm_error_set(err, E2BIG, "there are %d parameters, more than %d", n,
				     USM_PARAMETERS_MAX);
	*parameters = (struct usm_parameters){ .object = object };
	return 0;
}

void usm_parameters_done(struct usm_parameters *parameters)
{
	usm_error_clear(&parameters->err);
}

static const cJSON *ask(struct usm_parameters *parameters, const char *name)
{
	const cJSON *item;
	unsigned int i = 0;

	cJSON_ArrayForEach(item, parameters->object) {
		if (!strcmp(item->string, name)) {
			parameters->asked |= UINT64_C(1) << i;
			return item;
		}
		i++;
	}
	return NULL;
}

/* Only the first complaint is kept: the author mends one thing at a time anyway. */
static bool complain(const struct usm_parameters *parameters)
{
	return !usm_error_is_set(&parameters->err);
}

const char *usm_parameters_string(struct usm_parameters *parameters, const char *name,
				  const char *fallback)
{
	const cJSON *item = ask(parameters, name);

	if (!item)
		return fallback;
	if (cJSON_IsString(item))
		return item->valuestring;
	if (complain(parameters))
		usm_error_set(&parameters->err, EINVAL, "parameter \"%s\" must be a string", name);
	return fallback;
}

int64_t usm_parameters_number(struct usm_parameters *parameters, const char *name,
			      int64_t min, int64_t max, int64_t fallback)
{
	const cJSON *item = ask(parameters, name);
	double value;

	if (!item)
		return fallback;

	/* Within 2^53 either way a double is exact, and so is the comparison. */
	value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
	if (fabs(value) <= (double)USM_JSON_MAX_INTEGER && value == trunc(value) &&
	    (int64_t)value >= min && (int64_t)value <= max)
		return (int64_t)value;
	if (complain(parameters))
		usm_error_set(&parameters->err, EINVAL, "parameter \"%s\" must be a whole number "
			      "from %" PRId64 " to %" PRId64, name, min, max);
	return fallback;
}

bool usm_parameters_bool(struct usm_parameters *parameters, const char *name, bool fallback)
{
	const cJSON *item = ask(parameters, name);

	if (!item)
		return fallback;
	if (cJSON_IsBool(item))
		return cJSON_IsTrue(item);
	if (complain(parameters))
		usm_error_set(&parameters->err, EINVAL, "parameter \"%s\" must be true or false",
			      name);
	return fallback;
}

int usm_parameters_verdict(const struct usm_parameters *parameters, struct usm_error *err)
{
	const cJSON *item;
	unsigned int i = 0;

	if (usm_error_is_set(&parameters->err))
		return usm_error_set(err, EINVAL, "%s", usm_error_message(&parameters->err));

	cJSON_ArrayForEach(item, parameters->object) {
		if (!(parameters->asked >> i & 1))
			return usm_error_set(err, EINVAL, "the policy knows no parameter \"%s\"",
					     item->string);
		i++;
	}
	return 0;
}
