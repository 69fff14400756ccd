/* tests/lab/workload.c -- a program in a pod: resolves names and connects, as its script says
 * SPDX-License-Identifier: Apache-2.0
 *
 * Built with glibc and with musl, so that both resolver libraries ask as they do in containers. It
 * reads one command a line from standard input:
 *
 *   get NAME [4|6]       resolves the name and connects to the first address (of that family)
 *   keep NAME            resolves it and keeps the addresses, whatever their TTL
 *   use NAME [4|6] [SNI] connects to a kept address, the next one each time
 *   to ADDRESS SNI       connects without any DNS
 *   sleep MS
 *
 * A connection is the beginning of TLS to port 443: a ClientHello whose server name is the name (or
 * SNI), and the first octets of what the server says. The server's log is the truth the laboratory
 * holds names against, so the program itself keeps no record; it prints what failed.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { KEPT_MAX = 64, ADDRESSES_MAX = 32, PORT = 443, TIMEOUT_S = 3 };

struct kept {
    char name[256];
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    socklen_t lens[ADDRESSES_MAX];
    unsigned count;
    unsigned next;
};

static struct kept kept[KEPT_MAX];

static void complain(const char *what, const char *name, const char *why)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld.%06ld %s %s: %s\n", (long long)now.tv_sec, now.tv_nsec / 1000, what, name, why);
    fflush(stdout);
}

/* Appends a big-endian number of `size` octets. */
static uint8_t *put(uint8_t *at, unsigned size, unsigned value)
{
    for (unsigned i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
    return at + size;
}

/* A TLS 1.2 ClientHello (RFC 5246 section 7.4.1.2) with server_name (RFC 6066), one cipher suite,
 * one group and one signature scheme. `out` holds 512 octets. Returns its length. */
static size_t client_hello(uint8_t *out, const char *sni)
{
    unsigned name = (unsigned)strlen(sni);
    unsigned extensions = 4 + 5 + name + 4 + 4 + 4 + 2 + 4 + 4;
    unsigned body = 2 + 32 + 1 + 2 + 2 + 2 + 2 + extensions;
    uint8_t *at = out;
    at = put(at, 1, 22);       /* record: handshake */
    at = put(at, 2, 0x0301);   /* for the first record of old and new */
    at = put(at, 2, body + 4); /* its length */
    at = put(at, 1, 1);        /* ClientHello */
    at = put(at, 3, body);
    at = put(at, 2, 0x0303); /* TLS 1.2 */
    for (unsigned i = 0; i < 32; i++) {
        at = put(at, 1, (unsigned)rand() & 255);
    }
    at = put(at, 1, 0); /* no session */
    at = put(at, 2, 2);
    at = put(at, 2, 0xC02B); /* ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 */
    at = put(at, 2, 0x0100); /* no compression */
    at = put(at, 2, extensions);
    at = put(at, 2, 0); /* server_name */
    at = put(at, 2, 5 + name);
    at = put(at, 2, 3 + name);
    at = put(at, 1, 0);
    at = put(at, 2, name);
    memcpy(at, sni, name);
    at += name;
    at = put(at, 2, 10); /* supported_groups: secp256r1 */
    at = put(at, 2, 4);
    at = put(at, 2, 2);
    at = put(at, 2, 23);
    at = put(at, 2, 11); /* ec_point_formats: uncompressed */
    at = put(at, 2, 2);
    at = put(at, 2, 0x0100);
    at = put(at, 2, 13); /* signature_algorithms: ecdsa_secp256r1_sha256 */
    at = put(at, 2, 4);
    at = put(at, 2, 2);
    at = put(at, 2, 0x0403);
    return (size_t)(at - out);
}

static void set_port(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)address)->sin6_port = htons(PORT);
    } else {
        ((struct sockaddr_in *)address)->sin_port = htons(PORT);
    }
}

static void connect_to(const struct sockaddr_storage *to, socklen_t len, const char *sni)
{
    struct sockaddr_storage address = *to;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    uint8_t octets[512];
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    set_port(&address);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (fd < 0 || strlen(sni) > 253 || connect(fd, (struct sockaddr *)&address, len) != 0) {
        complain("connect", sni, strerror(errno));
    } else if (write(fd, octets, client_hello(octets, sni)) < 0 ||
               read(fd, octets, sizeof(octets)) <= 0) {
        complain("TLS", sni, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* The slot of a name, a free one where it has none. */
static struct kept *slot_of(const char *name)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (kept[i].name[0] == '\0' || strcmp(kept[i].name, name) == 0) {
            snprintf(kept[i].name, sizeof(kept[i].name), "%s", name);
            return &kept[i];
        }
    }
    return &kept[0];
}

static struct kept *resolve(const char *name)
{
    struct kept *slot = slot_of(name);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int err = getaddrinfo(name, NULL, &hints, &found);
    if (err != 0) {
        complain("resolve", name, gai_strerror(err));
        return slot;
    }
    slot->count = 0;
    slot->next = 0;
    for (struct addrinfo *one = found; one != NULL && slot->count < ADDRESSES_MAX;
         one = one->ai_next) {
        memcpy(&slot->addresses[slot->count], one->ai_addr, one->ai_addrlen);
        slot->lens[slot->count++] = one->ai_addrlen;
    }
    freeaddrinfo(found);
    return slot;
}

/* Connects to the slot's next address of the family ("4", "6", or "" for any). */
static void use(struct kept *slot, const char *family, const char *sni)
{
    int wanted = family[0] == '6' ? AF_INET6 : family[0] == '4' ? AF_INET : 0;
    for (unsigned i = 0; i < slot->count; i++) {
        unsigned at = (slot->next + i) % slot->count;
        if (wanted == 0 || slot->addresses[at].ss_family == wanted) {
            slot->next = at + 1;
            connect_to(&slot->addresses[at], slot->lens[at], sni);
            return;
        }
    }
    complain("connect", sni, "no address");
}

static void connect_literal(const char *text, const char *sni)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, NULL, &hints, &found) != 0) {
        complain("connect", text, "no address");
        return;
    }
    struct sockaddr_storage address;
    memcpy(&address, found->ai_addr, found->ai_addrlen);
    connect_to(&address, found->ai_addrlen, sni);
    freeaddrinfo(found);
}

static bool obey(char words[4][256], int count)
{
    if (strcmp(words[0], "get") == 0 && count >= 2) {
        use(resolve(words[1]), words[2], words[1]);
    } else if (strcmp(words[0], "keep") == 0 && count >= 2) {
        resolve(words[1]);
    } else if (strcmp(words[0], "use") == 0 && count >= 2) {
        use(slot_of(words[1]), words[2], count >= 4 ? words[3] : words[1]);
    } else if (strcmp(words[0], "to") == 0 && count >= 3) {
        connect_literal(words[1], words[2]);
    } else if (strcmp(words[0], "sleep") == 0 && count >= 2) {
        usleep((useconds_t)strtoul(words[1], NULL, 10) * 1000);
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    char line[1200];
    srand((unsigned)getpid());
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char words[4][256] = {"", "", "", ""};
        int count = sscanf(line, "%255s %255s %255s %255s", words[0], words[1], words[2], words[3]);
        if (count > 0 && !obey(words, count)) {
            fprintf(stderr, "workload: what is this: %s", line);
            return 2;
        }
    }
    return 0;
}
