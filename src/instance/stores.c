// SPDX-License-Identifier: GPL-2.0-or-later
#include "stores.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "codec.h"
#include "device.h"
#include "journal.h"
#include "memstore.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U		/* Linux 6.3 */
#endif

static const struct usm_codec *const codecs[] = { &usm_codec_lz4 };

static const struct usm_codec *codec_find(const char *name)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (!strcmp(codecs[i]->name, name))
			return codecs[i];
	return NULL;
}

/*
 * One that an earlier instance left. What is not one that we know is told of and left
 * alone: a newer instance may know it, and a page that is only there is lost until then.
 * Takes the descriptor. Negative: it may be good, but cannot be opened now.
 */
static int store_take(struct usm_vault *vault, const struct usm_store_fd *held)
{
	const struct usm_codec *codec = codec_find(held->name);
	struct usm_store *store;
	int r = codec ? usm_memstore_open(held->fd, codec, false, 0, &store) : -ENOTSUP;

	if (r < 0) {
		usm_journal_write(LOG_ERR, USM_MSG_STORE_DAMAGED, "store %s of evicted pages cannot "
				  "be used: %s", held->name, strerror(-r));
		close(held->fd);
		return r == -EBADMSG || r == -ENOTSUP ? 0 : r;
	}
	store->priority = (uint32_t)held->data;
	r = usm_vault_add(vault, store);
	if (r < 0)
		store->ops->close(store);
	return r;
}

static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int store_make(int domain_fd, struct usm_vault *vault, const struct usm_codec *codec)
{
	/* Sparse, and for as much as there can ever be: what it takes is the quota's. */
	uint32_t slabs = usm_memstore_slabs(vault->evicted.numbers);
	struct usm_store_fd held = {};
	struct usm_store *store;
	int fd = memory_file(codec->name), r = 0;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)usm_memstore_size(slabs)) < 0)
		r = -errno;
	if (!r)
		r = usm_memstore_open(fd, codec, true, slabs, &store);
	if (r < 0) {
		close(fd);
		return r;
	}
	/* Before anything is in it. */
	strncpy(held.name, codec->name, sizeof(held.name) - 1);
	held.fd = fd;
	r = usm_device_store_put(domain_fd, &held);
	if (!r)
		r = usm_vault_add(vault, store);
	if (r < 0)
		store->ops->close(store);
	return r;
}

static bool has_kind(const struct usm_vault *vault, const char *kind)
{
	for (uint32_t i = 0; i < vault->nr_stores; i++)
		if (!strcmp(vault->stores[i]->kind, kind))
			return true;
	return false;
}

static int stores_prepare(int domain_fd, const struct usm_mapping *mapping,
			  struct usm_vault *vault, struct usm_error *err)
{
	struct usm_evicted_mapping evicted;
	int r = usm_evicted_map(domain_fd, &evicted);

	if (r < 0)
		return usm_error_set(err, -r, "cannot map the evicted pages: %s",
				     usm_device_reason(r));
	r = usm_vault_init(vault, mapping, &evicted);
	if (r < 0) {
		usm_evicted_unmap(&evicted);
		return usm_error_oom(err);
	}
	return 0;
}

/* What the domain holds already. Returns how many, or negative. */
static int stores_get(int domain_fd, struct usm_store_fd held[static USM_MAX_STORES])
{
	int n = 0;

	for (uint32_t index = 0; index < USM_MAX_STORES; index++) {
		int r;

		held[n].index = index;
		r = usm_device_store_get(domain_fd, &held[n]);
		if (!r) {
			n++;
			continue;
		}
		/* None there; an older module has none at all. */
		if (r == -ENOENT || r == -ENOTTY)
			continue;
		while (n--)
			close(held[n].fd);
		return r;
	}
	return n;
}

void usm_stores_close(struct usm_vault *vault)
{
	struct usm_evicted_mapping evicted = vault->evicted;

	usm_vault_done(vault);
	usm_evicted_unmap(&evicted);
}

int usm_stores_open(int domain_fd, const struct usm_mapping *mapping, bool evicts,
		    uint64_t quota, struct usm_vault *vault, struct usm_error *err)
{
	struct usm_store_fd held[USM_MAX_STORES] = {};
	int n = stores_get(domain_fd, held), r;
	struct usm_vault v;

	if (n < 0)
		return usm_error_set(err, -n, "cannot get the stores of evicted pages: %s",
				     usm_device_reason(n));
	if (!n && (!evicts || !quota))
		return 0;
	r = stores_prepare(domain_fd, mapping, &v, err);
	if (r < 0 && !n) {
		usm_journal_write(LOG_ERR, USM_MSG_STORE_DAMAGED, "%s; nothing is evicted",
				  usm_error_message(err));
		usm_error_clear(err);
		return 0;
	}
	if (r < 0) {
		while (n--)
			close(held[n].fd);
		return r;
	}
	for (int i = 0; i < n; i++) {
		int taken = store_take(&v, &held[i]);

		r = r < 0 ? r : taken;
	}
	if (r < 0) {
		/* What is in it must not be taken for lost. */
		usm_stores_close(&v);
		return usm_error_set(err, -r, "cannot open the stores of evicted pages: %s",
				     usm_device_reason(r));
	}
	if (evicts && quota && !has_kind(&v, usm_codec_lz4.name))
		r = store_make(domain_fd, &v, &usm_codec_lz4);
	if (r < 0) {
		usm_journal_write(LOG_ERR, USM_MSG_STORE_DAMAGED, "cannot make a store for evicted "
				  "pages: %s; nothing is evicted", usm_device_reason(r));
		/* Without one that was there before, no page is away. */
		if (!n) {
			usm_stores_close(&v);
			return 0;
		}
	}
	for (uint32_t i = 0; i < v.nr_stores; i++)
		v.stores[i]->ops->set_quota(v.stores[i], evicts ? quota : 0);
	*vault = v;
	return 1;
}
