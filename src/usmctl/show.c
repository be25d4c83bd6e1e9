// SPDX-License-Identifier: GPL-2.0-or-later
/* usmctl show: all that is known of one container. */
#include <stdarg.h>
#include <string.h>

#include "table.h"
#include "usmctl.h"

/* So wide is the longest name of a line below. */
#define NAME_WIDTH	22

/* A line "NAME  TEXT"; takes `text` over. Returns -ENOMEM if there is none. */
static int line(const char *name, char *text)
{
	cleanup_free char *owned = text;

	if (!owned)
		return -ENOMEM;
	printf("  %-*s%s\n", NAME_WIDTH, name, owned);
	return 0;
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

static int heading(const char *text)
{
	printf("\n%s\n", text);
	return 0;
}

/* "256M (65536 frames)" */
static char *frames(const cJSON *object, const char *key)
{
	cleanup_free char *size = usmctl_pages(object, key);
	cleanup_free char *count = usmctl_count(object, key);

	return size && count ? format("%s (%s frames)", size, count) : NULL;
}

static char *share(double part, double rest)
{
	if (part < 0 || rest < 0 || part + rest <= 0)
		return strdup("-");
	return format("%.1f %%", 100 * part / (part + rest));
}

static char *state(const cJSON *container)
{
	cleanup_free char *name = usmctl_text(container, "state");
	cleanup_free char *reason = usmctl_text(container, "fallback_reason");

	if (!name || !reason)
		return NULL;
	if (!strcmp(name, "fallback") && strcmp(reason, "-"))
		return format("%s (%s)", name, reason);
	return strdup(name);
}

static char *instance(const cJSON *container)
{
	cleanup_free char *restarts = usmctl_count(container, "instance_restarts");
	double pid = usmctl_number(container, "instance_pid");

	if (!restarts)
		return NULL;
	if (pid <= 0)
		return format("none now, restarted %s times", restarts);
	return format("pid %.0f, restarted %s times", pid, restarts);
}

/* The daemon sends a number or the list of pids. */
static char *processes(const cJSON *container)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(container, "processes");

	if (cJSON_IsArray(item))
		return format("%d", cJSON_GetArraySize(item));
	return usmctl_count(container, "processes");
}

static int print_container(const cJSON *container)
{
	int r = 0;

	r |= line("container", usmctl_text(container, "container"));
	r |= line("name", usmctl_text(container, "name"));
	r |= line("runtime", usmctl_text(container, "runtime"));
	r |= line("cgroup", usmctl_text(container, "cgroup"));
	r |= line("domain", usmctl_text(container, "domain"));
	r |= line("annotation", usmctl_text(container, "annotation"));
	r |= line("policy", usmctl_text(container, "policy"));
	r |= line("state", state(container));
	r |= line("instance", instance(container));
	r |= line("instance says", usmctl_text(container, "instance_message"));
	r |= line("processes", processes(container));
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(container, "late")))
		r |= line("bound late", strdup("what was mapped before is not adopted"));
	return r;
}

static int print_memory(const cJSON *container, const cJSON *stat)
{
	double adopted = usmctl_number(container, "resident_adopted") * 4;
	double other = usmctl_number(container, "resident_other_kib");
	int r = heading("memory");

	r |= line("ceiling", frames(container, "ceiling"));
	r |= line("backed and charged", frames(container, "frames"));
	r |= line("free", frames(container, "frames_free"));
	r |= line("free and zeroed", frames(stat, "frames_zeroed"));
	r |= line("shared after fork", frames(stat, "frames_shared"));
	r |= line("resident adopted", usmctl_pages(container, "resident_adopted"));
	r |= line("resident not adopted", usmctl_size(other * 1024));
	r |= line("adopted share", share(adopted, other));
	return r;
}

static char *order(const cJSON *stat)
{
	double number = usmctl_number(stat, "fault_order");

	if (number < 0 || number > 32)
		return strdup("-");
	return format("%.0f (up to %.0f pages a fault)", number, (double)(UINT64_C(1) << (int)number));
}

/*
 * The module counts faults by the power of two of the pages that they mapped,
 * so what one row saved is known from below; the sum above is exact.
 */
static int print_orders(const cJSON *stat)
{
	static const struct usm_column columns[] = {
		{ "  pages a fault", false },
		{ "faults", true },
		{ "saved at least", true },
	};
	cleanup_table struct usm_table table = { .columns = columns, .width = 3 };
	const cJSON *item;
	double pages = 1;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(stat, "faults_by_order")) {
		double faults = cJSON_IsNumber(item) ? item->valuedouble : 0;

		if (faults > 0) {
			usm_table_add(&table, pages == 1 ? strdup("  1") :
				      format("  %.0f-%.0f", pages, 2 * pages - 1));
			usm_table_add(&table, format("%.0f", faults));
			usm_table_add(&table, format("%.0f", faults * (pages - 1)));
		}
		pages *= 2;
	}
	return table.count || table.failed ? usm_table_print(&table, stdout) : 0;
}

static int print_faults(const cJSON *container, const cJSON *stat)
{
	int r = heading("faults");

	r |= line("fault mode", usmctl_text(container, "fault_mode"));
	r |= line("fault order", order(stat));
	r |= line("faults", usmctl_count(container, "faults"));
	if (usmctl_number(stat, "upcalls") > 0) {
		r |= line("faults that asked", usmctl_count(stat, "upcalls"));
		r |= line("left to the module", usmctl_count(stat, "declined"));
	}
	r |= line("pages mapped", usmctl_count(container, "fault_pages"));
	r |= line("faults saved", usmctl_count(container, "faults_saved"));
	r |= print_orders(stat);
	return r;
}

static int print_supply(const cJSON *supply)
{
	int r = heading("supply");

	r |= line("rings", usmctl_count(supply, "rings"));
	r |= line("frames supplied", usmctl_count(supply, "supplied"));
	r |= line("from another CPU", usmctl_count(supply, "stolen"));
	r |= line("faults that waited", usmctl_count(supply, "waits"));
	r |= line("zeroed ahead", usmctl_count(supply, "zeroed_ahead"));
	r |= line("zeroed in the fault", usmctl_count(supply, "zeroed_in_fault"));
	return r;
}

/* "2.9 to 1": what the pages are worth, and what they take of the host. */
static char *ratio(const cJSON *store)
{
	double used = usmctl_number(store, "used");

	if (used <= 0)
		return strdup("-");
	return format("%.1f to 1", usmctl_number(store, "pages") * 4096 / used);
}

/* Of a container that does not evict, nothing. */
static int print_store(const cJSON *store)
{
	int r;

	if (usmctl_number(store, "evictions") <= 0)
		return 0;
	r = heading("evicted");
	r |= line("evicted now", usmctl_pages(store, "evicted"));
	r |= line("pages evicted", usmctl_count(store, "evictions"));
	r |= line("pages that came back", usmctl_count(store, "refaults"));
	r |= line("store", usmctl_size(usmctl_number(store, "used")));
	r |= line("quota", usmctl_size(usmctl_number(store, "quota")));
	r |= line("compressed", ratio(store));
	return r;
}

static int print_trouble(const cJSON *container, const cJSON *stat)
{
	int r = heading("trouble");

	r |= line("fallbacks", usmctl_count(container, "fallbacks"));
	r |= line("deadlines missed", usmctl_count(container, "deadlines"));
	r |= line("pages in fallback", usmctl_count(stat, "fallback_pages"));
	r |= line("refused commands", usmctl_count(stat, "refused"));
	r |= line("limits hit", usmctl_count(stat, "limits"));
	r |= line("events lost", usmctl_count(stat, "events_lost"));
	r |= line("broken forks", usmctl_count(stat, "broken"));
	r |= line("SIGBUS", usmctl_count(stat, "sigbus"));
	r |= line("wrong content refused", usmctl_count(stat, "corrupt"));
	r |= line("OOM kills", usmctl_count(stat, "oom_kills"));
	return r;
}

int usmctl_show(const struct usmctl *ctl, char **operands, struct usm_error *err)
{
	cleanup_json cJSON *parameters = cJSON_CreateObject();
	cleanup_reply struct usm_reply reply = {};
	const cJSON *stat, *supply, *store;
	int r;

	if (!parameters || usm_json_add_string(parameters, "container", operands[0]) < 0)
		return usm_error_oom(err);
	r = usmctl_call(ctl, "org.usm.Show", parameters, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		return usmctl_print_json(reply.parameters, err);

	stat = cJSON_GetObjectItemCaseSensitive(reply.parameters, "stat");
	supply = cJSON_GetObjectItemCaseSensitive(reply.parameters, "supply");
	if (!cJSON_IsObject(stat) || !cJSON_IsObject(supply))
		return usm_error_set(err, EBADMSG, "usmd answered without numbers of the container");
	r = print_container(reply.parameters);
	r |= print_memory(reply.parameters, stat);
	r |= print_faults(reply.parameters, stat);
	r |= print_supply(supply);
	store = cJSON_GetObjectItemCaseSensitive(reply.parameters, "store");
	if (cJSON_IsObject(store))
		r |= print_store(store);
	r |= print_trouble(reply.parameters, stat);
	return r < 0 ? usm_error_oom(err) : 0;
}
