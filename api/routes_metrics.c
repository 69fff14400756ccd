/* api/routes_metrics.c -- /metrics: the Prometheus text format
 * SPDX-License-Identifier: Apache-2.0
 *
 * No label ever holds an address or a name of a client, so the number of series is fixed.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/counters.h"
#include "join/owners.h"

static void put_head(struct buf *buf, const char *name, const char *type, const char *help)
{
    buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(struct buf *buf, const char *name, const char *help, uint64_t value)
{
    put_head(buf, name, "counter", help);
    buf_printf(buf, "%s %" PRIu64 "\n", name, value);
}

static void put_gauge(struct buf *buf, const char *name, const char *help, uint64_t value)
{
    put_head(buf, name, "gauge", help);
    buf_printf(buf, "%s %" PRIu64 "\n", name, value);
}

/* Microseconds are shown in seconds, the base unit of the format. */
static void put_seconds(struct buf *buf, const char *name, const char *type, const char *help,
                        uint64_t us)
{
    put_head(buf, name, type, help);
    buf_printf(buf, "%s %" PRIu64 ".%06" PRIu64 "\n", name, us / US_PER_S, us % US_PER_S);
}

/* What all workers counted at one place. */
struct sums {
    uint64_t requests[ROUTES_MAX + 1][CODE_COUNT];
    uint64_t verdicts[VERDICT_COUNT];
};

static void add_worker(struct sums *sums, struct worker *worker)
{
    for (size_t route = 0; route <= ROUTES_MAX; route++) {
        for (size_t code = 0; code < CODE_COUNT; code++) {
            sums->requests[route][code] +=
                atomic_load_explicit(&worker->requests[route][code], memory_order_relaxed);
        }
    }
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        sums->verdicts[i] += atomic_load_explicit(&worker->verdicts[i], memory_order_relaxed);
    }
}

static void put_requests(struct buf *buf, const struct sums *sums)
{
    static const char *const METHODS[] = {"GET", "POST", ""};
    put_head(buf, "whither_http_requests_total", "counter", "Requests answered.");
    for (size_t route = 0; route <= ROUTES_MAX; route++) {
        for (size_t code = 0; code < CODE_COUNT; code++) {
            bool known = route < ROUTE_COUNT;
            if (sums->requests[route][code] > 0) {
                buf_printf(buf,
                           "whither_http_requests_total{method=\"%s\",route=\"%s\",code=\"%u\"} "
                           "%" PRIu64 "\n",
                           known ? METHODS[ROUTES[route].method] : "",
                           known ? ROUTES[route].path : "none", routes_status(code),
                           sums->requests[route][code]);
            }
        }
    }
}

static void put_verdicts(struct buf *buf, const struct sums *sums)
{
    put_head(buf, "whither_lookups_total", "counter", "Questions answered, by verdict.");
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        buf_printf(buf, "whither_lookups_total{verdict=\"%s\"} %" PRIu64 "\n",
                   verdict_name((enum verdict)i), sums->verdicts[i]);
    }
}

static void put_service(struct buf *buf, struct api *api)
{
    struct sums sums = {0};
    pthread_mutex_lock(&api->lock);
    for (struct worker *worker = api->workers; worker != NULL; worker = worker->next) {
        add_worker(&sums, worker);
    }
    pthread_mutex_unlock(&api->lock);
    put_head(buf, "whither_build_info", "gauge", "The version that runs.");
    buf_str(buf, "whither_build_info{version=\"" WHITHER_VERSION "\"} 1\n");
    put_requests(buf, &sums);
    put_verdicts(buf, &sums);
    put_gauge(buf, "whither_http_connections", "HTTP connections open now.", api_connections(api));
    put_gauge(buf, "whither_http_bulk_bytes", "Bodies of bulk lookups being answered.",
              atomic_load(&api->held));
}

/* The counters of the whole program; rows of one name stand together. */
static void put_counters(struct buf *buf)
{
    const char *name = "";
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_info *info = counter_info((enum counter)i);
        if (strcmp(name, info->name) != 0) {
            name = info->name;
            put_head(buf, name, info->gauge ? "gauge" : "counter", info->help);
        }
        bool labels = info->labels[0] != '\0';
        buf_printf(buf, "%s%s%s%s %" PRIu64 "\n", name, labels ? "{" : "", info->labels,
                   labels ? "}" : "", counter_get((enum counter)i));
    }
}

static void put_writer(struct buf *buf, const struct store *store)
{
    struct store_counters counters = store_counters(store);
    put_counter(buf, "whither_index_answers_total", "Answers kept.", counters.answers);
    put_counter(buf, "whither_index_sightings_total", "Sightings opened.", counters.sightings);
    put_counter(buf, "whither_index_capped_total",
                "Answers refused because their client added more than one client may.",
                counters.capped);
    put_counter(buf, "whither_index_lost_total", "Answers dropped because a commit failed.",
                counters.lost);
    put_counter(buf, "whither_index_commits_total", "Commits.", counters.commits);
    put_counter(buf, "whither_index_commit_failures_total", "Commits that failed.",
                counters.commit_failures);
    put_seconds(buf, "whither_index_commit_seconds_total", "counter", "Time spent in commits.",
                counters.commit_us_sum);
    put_seconds(buf, "whither_index_commit_seconds_max", "gauge", "The slowest commit so far.",
                counters.commit_us_max);
}

static void put_index(struct buf *buf, const struct store_status *status)
{
    put_gauge(buf, "whither_index_windows", "Days kept.", status->windows);
    put_gauge(buf, "whither_index_bytes", "Bytes of the index on disk.", status->bytes);
    put_gauge(buf, "whither_index_sightings", "Sightings kept.", status->sightings);
    put_gauge(buf, "whither_index_answer_sets", "Different answers kept, summed over windows.",
              status->answer_sets);
    put_gauge(buf, "whither_index_clients", "Different clients, summed over windows.",
              status->clients);
    put_gauge(buf, "whither_index_names", "Different names, summed over windows.", status->names);
    put_seconds(buf, "whither_last_dns_timestamp_seconds", "gauge",
                "When the latest answer in the index was given.", (uint64_t)status->last_us);
    put_seconds(buf, "whither_last_commit_timestamp_seconds", "gauge",
                "When the writer committed last.", (uint64_t)status->alive_us);
}

static void put_owners(struct buf *buf, const struct owners_status *status)
{
    put_gauge(buf, "whither_owners", "Owners of addresses in memory, former ones included.",
              status->intervals);
    put_gauge(buf, "whither_owners_open", "Owners that hold their addresses now.", status->open);
    put_gauge(buf, "whither_owners_hints", "Owners of which only a DNS server's word is known.",
              status->hints);
    put_counter(buf, "whither_owners_forgotten_total",
                "Former owners forgotten in memory to make room.", status->forgotten);
    put_counter(buf, "whither_owners_refused_total",
                "Owners left out because the memory is full of present ones.", status->refused);
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    /* Not ".", "..", and the one just used. */
    return count > 3 ? count - 3 : 0;
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t total = 0, resident = 0;
    if (file != NULL) {
        if (fscanf(file, "%" SCNu64 " %" SCNu64, &total, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_process(struct buf *buf, int64_t started_us)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    int64_t cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S +
                     usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    put_seconds(buf, "process_cpu_seconds_total", "counter", "CPU time used.", (uint64_t)cpu_us);
    put_gauge(buf, "process_resident_memory_bytes",
              "Memory in use, pages of the index that are in the page cache included.",
              resident_bytes());
    put_gauge(buf, "process_open_fds", "File descriptors open.", count_fds());
    put_seconds(buf, "process_start_time_seconds", "gauge", "When the service started.",
                (uint64_t)started_us);
}

void metrics_get(struct request *request)
{
    struct api *api = request->worker->api;
    struct buf *buf = request_body(request);
    struct problem unreadable = {0};
    struct store_status status;
    put_service(buf, api);
    put_counters(buf);
    put_writer(buf, api->options.store);
    if (api->options.owners != NULL) {
        struct owners_status owners = owners_status(api->options.owners);
        put_owners(buf, &owners);
    }
    /* The counters are worth having even where the index cannot be read. */
    struct store_view *view = worker_view(request->worker, &unreadable);
    if (view != NULL && store_status(view, &status) == 0) {
        put_index(buf, &status);
    }
    put_process(buf, api->started_us);
}
