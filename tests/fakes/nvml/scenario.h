/* What the double of libnvidia-ml.so.1 pretends to see: read from the file that NVML_DOUBLE_SCENARIO names, anew
   whenever it changes. scenario.py writes it. Negative numbers mean "this card cannot tell". */
#ifndef SCENARIO_H
#define SCENARIO_H

#include <stddef.h>

enum { MAX_GPUS = 16, MAX_PROCESSES = 256, MAX_MIG = 8, MAX_FAILURES = 64, TEXT = 96 };

struct process {
    unsigned pid;
    long long used;
    char kind[4]; /* C, G or CG */
    unsigned gpu_instance, compute_instance;
};

struct mig {
    int gpu_instance, compute_instance;
    char uuid[TEXT], name[TEXT];
    long long total, reserved, used;
};

struct gpu {
    char name[TEXT], uuid[TEXT];
    long long error, total, reserved, used, bar1_used;
    long long utilization, memory_utilization, encoder, decoder;
    long long temperature, slowdown_temperature, margin_temperature, fan;
    long long power, power_limit;
    long long sm_clock, max_sm_clock, memory_clock, max_memory_clock;
    long long performance_state, throttle;
    long long ecc_enabled, corrected, uncorrected, lifetime_corrected, lifetime_uncorrected;
    long long pcie_generation, max_pcie_generation, pcie_width, max_pcie_width, pcie_rx, pcie_tx;
    long long mig_mode;
    int process_count, mig_count;
    struct process processes[MAX_PROCESSES];
    struct mig migs[MAX_MIG];
};

struct failure {
    int gpu; /* -1: all of them, MIG instances and functions without a GPU included */
    int code;
    char function[TEXT];
};

struct scenario {
    char driver[TEXT];
    long long cuda, init, epoch;
    int gpu_count, failure_count;
    struct gpu gpus[MAX_GPUS];
    struct failure failures[MAX_FAILURES];
};

extern struct scenario scenario;

/* Brings `scenario` up to date with its file; without one the driver is not loaded. */
void scenario_refresh(void);

/* How a function is declared to fail for a GPU (-1 for none); 0 when it is not. */
int scenario_failure(const char *function, int gpu);

#endif
