/* cli/owner_files.c -- --owners FILE: whose the addresses were
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/owner_files.h"

#include <stdio.h>

#include "base/clock.h"
#include "join/owners_file.h"
#include "join/source.h"

/* How long owners may be older than the flows before it is worth a word: pods come and go within
 * minutes. */
#define AGE_WORTH_A_WORD_US (5 * US_PER_MIN)

static void warn(void *ctx, const char *text)
{
    const struct settings *settings = ctx;
    if (!settings->quiet) {
        fprintf(stderr, "whither %s: %s\n", command_name(settings->command), text);
    }
}

static int read_list(struct owner_files *files, struct owners *owners,
                     const struct settings *settings, const struct source_list *list,
                     struct why *why)
{
    struct owners_read read = {0};
    int err = 0;
    for (size_t i = 0; i < list->count && err == 0; i++) {
        const char *cluster =
            list->clusters[i].text[0] != '\0' ? list->clusters[i].text : settings->cluster;
        err = owners_read_file(owners, cluster, list->paths[i], warn, (void *)settings, &read, why);
    }
    files->doubtful |= read.faults > 0;
    if (err == 0 && list->count > 0 && read.objects == 0 && read.faults == 0) {
        char text[320];
        snprintf(text, sizeof(text), "%.200s has no pods, services or nodes", list->paths[0]);
        warn((void *)settings, text);
    }
    return err;
}

int owner_files_read(struct owner_files *files, struct owners *owners,
                     const struct settings *settings, struct why *why)
{
    int err = 0;
    for (size_t i = 0; i < settings->owners.count && err == 0; i++) {
        struct source_list list = {0};
        err = source_list_add(&list, settings->owners.items[i], why);
        err = err != 0 ? err : read_list(files, owners, settings, &list, why);
        source_list_fini(&list);
    }
    return err;
}

void owner_files_warn_age(struct owners *owners, const struct settings *settings,
                          int64_t last_flow_us)
{
    int64_t latest_us = owners_status(owners).latest_us;
    char text[200], time[TIME_TEXT_MAX];
    if (latest_us != 0 && last_flow_us > latest_us + AGE_WORTH_A_WORD_US) {
        time_print(latest_us, time);
        snprintf(text, sizeof(text),
                 "the owners know of nothing after %s, %lld min before the last flow: pods that "
                 "came since are not known",
                 time, (long long)((last_flow_us - latest_us) / US_PER_MIN));
        warn((void *)settings, text);
    }
}
