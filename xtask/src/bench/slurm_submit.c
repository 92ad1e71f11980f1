/* Submits batch jobs through Slurm's library from THREADS threads for SECONDS, one after the other
 * in each, and prints one JSON object, as rafter-load does for Rafter.
 *
 *   slurm_submit THREADS SECONDS
 */
#include <pthread.h>
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct seen {
    uint32_t *micros;
    size_t count, room;
    unsigned long errors;
    int first_error;
};

static double deadline;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void note(struct seen *seen, double took) {
    if (seen->count == seen->room) {
        seen->room = seen->room ? 2 * seen->room : 1024;
        seen->micros = realloc(seen->micros, seen->room * sizeof *seen->micros);
        if (!seen->micros) abort();
    }
    seen->micros[seen->count++] = (uint32_t)(took * 1e6);
}

/* Held: real Slurm would start them otherwise, and the starting is another part's matter. */
static void *client(void *argument) {
    struct seen *seen = argument;
    char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    while (now() < deadline) {
        job_desc_msg_t job;
        submit_response_msg_t *answer = NULL;
        slurm_init_job_desc_msg(&job);
        job.name = "load";
        job.script = "#!/bin/sh\ntrue\n";
        job.user_id = getuid();
        job.group_id = getgid();
        job.min_nodes = 1;
        job.num_tasks = 1;
        job.min_cpus = 1;
        job.priority = 0;
        job.work_dir = "/tmp";
        job.std_out = "/dev/null";
        job.environment = environment;
        job.env_size = 1;
        double asked = now();
        if (slurm_submit_batch_job(&job, &answer) == 0) {
            note(seen, now() - asked);
            slurm_free_submit_response_response_msg(answer);
        } else {
            if (!seen->errors++) seen->first_error = slurm_get_errno();
            usleep(100000);
        }
    }
    return NULL;
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a < b ? -1 : a > b;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    int threads = atoi(words[1]);
    double seconds = atof(words[2]);
    if (threads < 1 || seconds <= 0) return 2;
    slurm_init(NULL);
    struct seen *each = calloc(threads, sizeof *each), all = {0};
    pthread_t *thread = calloc(threads, sizeof *thread);
    double started = now();
    deadline = started + seconds;
    for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, client, &each[i]);
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        for (size_t j = 0; j < each[i].count; j++) note(&all, each[i].micros[j] / 1e6);
        all.errors += each[i].errors;
        if (!all.first_error) all.first_error = each[i].first_error;
    }
    double took = now() - started;
    if (!all.count) {
        fprintf(stderr, "nothing was acknowledged: %s\n", slurm_strerror(all.first_error));
        return 1;
    }
    qsort(all.micros, all.count, sizeof *all.micros, by_size);
    printf("{\"connections\":%d,\"jobs\":%zu,\"seconds\":%.6f,\"p50_us\":%u,\"p99_us\":%u,"
           "\"max_us\":%u,\"errors\":%lu,\"first_error\":\"%s\"}\n",
           threads, all.count, took, all.micros[all.count / 2],
           all.micros[(all.count - 1) * 99 / 100], all.micros[all.count - 1], all.errors,
           all.errors ? slurm_strerror(all.first_error) : "");
    return 0;
}
