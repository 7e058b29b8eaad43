/* A double of libnvidia-ml.so.1: the functions that Lectern, gpustat and nvitop call, answered from a scenario.

   DRIVER_BRANCH says which driver this is: functions that came later are really absent from the library.
   nvml_double_calls(name) tells how often a function was called; pynvml never sees it. */
#include "scenario.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef DRIVER_BRANCH
#define DRIVER_BRANCH 580
#endif

typedef int result;
typedef void *handle;
typedef unsigned long long bytes;

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    FUNCTION_NOT_FOUND = 13, UNKNOWN = 999, NO_GPU = -1, NO_MIG = -1, MAX_FUNCTIONS = 128
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sessions, generation;
static long long epoch; /* of the driver that the session was opened with */
static struct { const char *name; unsigned calls; } counters[MAX_FUNCTIONS];

static void count_call(const char *name) {
    int i = 0;
    while (i < MAX_FUNCTIONS - 1 && counters[i].name && counters[i].name != name)
        i++;
    counters[i].name = name;
    counters[i].calls++;
}

unsigned nvml_double_calls(const char *name) {
    unsigned calls = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_FUNCTIONS && counters[i].name; i++)
        if (!strcmp(counters[i].name, name))
            calls += counters[i].calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

/* A handle holds the session that made it: after a driver restart old ones are refused. */
static handle handle_of(int gpu, int mig) {
    return (handle)(((uintptr_t)generation << 16) | ((uintptr_t)(gpu + 1) << 8) | (uintptr_t)(mig + 1));
}

static struct gpu *the_gpu;
static struct mig *the_mig;

static result resolve(const char *function, handle device) {
    uintptr_t value = (uintptr_t)device;
    int gpu = (int)((value >> 8) & 0xff) - 1, mig = (int)(value & 0xff) - 1;
    if ((int)(value >> 16) != generation || gpu < 0 || gpu >= scenario.gpu_count)
        return INVALID_ARGUMENT;
    the_gpu = &scenario.gpus[gpu];
    if (the_gpu->error)
        return (result)the_gpu->error;
    if (mig >= the_gpu->mig_count)
        return NOT_FOUND;
    the_mig = mig < 0 ? NULL : &the_gpu->migs[mig];
    return scenario_failure(function, mig < 0 ? gpu : NO_GPU);
}

static result begin(const char *function) {
    pthread_mutex_lock(&lock);
    scenario_refresh();
    count_call(function);
    if (!sessions || scenario.init || epoch != scenario.epoch)
        return UNINITIALIZED;
    return SUCCESS;
}

static result end(result code) {
    pthread_mutex_unlock(&lock);
    return code;
}

/* A function of the driver as a whole, and one of a device; what follows the arguments may set `code`. */
#define SYSTEM(name, arguments, ...) \
    result name arguments { \
        result code = begin(#name); \
        if (!code) \
            code = scenario_failure(#name, NO_GPU); \
        if (!code) \
            __VA_ARGS__ return end(code); \
    }
#define DEVICE(name, arguments, ...) \
    result name arguments { \
        result code = begin(#name); \
        if (!code) \
            code = resolve(#name, device); \
        if (!code) \
            __VA_ARGS__ return end(code); \
    }

static result number(long long value, unsigned *into) {
    if (value < 0)
        return NOT_SUPPORTED;
    *into = (unsigned)value;
    return SUCCESS;
}

static result text(const char *value, char *into, unsigned size) {
    if (!*value)
        return NOT_SUPPORTED;
    snprintf(into, size, "%s", value);
    return SUCCESS;
}

#define DEVICE_NUMBER(name, field) \
    DEVICE(name, (handle device, unsigned *value), { code = the_mig ? NOT_SUPPORTED : number(the_gpu->field, value); })

/* The session */

result nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    begin("nvmlInitWithFlags");
    if (scenario.init)
        return end((result)scenario.init);
    if (!sessions || epoch != scenario.epoch) {
        sessions = 0;
        generation++;
        epoch = scenario.epoch;
    }
    sessions++;
    return end(SUCCESS);
}

result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

result nvmlShutdown(void) {
    begin("nvmlShutdown");
    if (!sessions)
        return end(UNINITIALIZED);
    sessions--;
    return end(SUCCESS);
}

const char *nvmlErrorString(result code) { return code ? "an error of the double" : "Success"; }

SYSTEM(nvmlSystemGetDriverVersion, (char *version, unsigned size), { code = text(scenario.driver, version, size); })
SYSTEM(nvmlSystemGetNVMLVersion, (char *version, unsigned size), { code = text(scenario.driver, version, size); })
SYSTEM(nvmlSystemGetCudaDriverVersion, (int *version), { *version = (int)scenario.cuda; })
#if DRIVER_BRANCH >= 418
SYSTEM(nvmlSystemGetCudaDriverVersion_v2, (int *version), { *version = (int)scenario.cuda; })
#endif
SYSTEM(nvmlDeviceGetCount_v2, (unsigned *count), { *count = (unsigned)scenario.gpu_count; })

result nvmlDeviceGetHandleByIndex_v2(unsigned index, handle *device) {
    result code = begin("nvmlDeviceGetHandleByIndex_v2");
    if (!code && index >= (unsigned)scenario.gpu_count)
        code = INVALID_ARGUMENT;
    if (!code)
        code = (result)scenario.gpus[index].error;
    if (!code)
        code = scenario_failure("nvmlDeviceGetHandleByIndex_v2", (int)index);
    if (!code)
        *device = handle_of((int)index, NO_MIG);
    return end(code);
}

result nvmlDeviceGetHandleByUUID(const char *uuid, handle *device) {
    result code = begin("nvmlDeviceGetHandleByUUID");
    for (int i = 0; !code && i < scenario.gpu_count; i++)
        if (!strcmp(uuid, scenario.gpus[i].uuid)) {
            *device = handle_of(i, NO_MIG);
            return end((result)scenario.gpus[i].error);
        }
    return end(code ? code : NOT_FOUND);
}

/* What a card is */

DEVICE(nvmlDeviceGetName, (handle device, char *name, unsigned size),
       { code = text(the_mig ? the_mig->name : the_gpu->name, name, size); })
DEVICE(nvmlDeviceGetUUID, (handle device, char *uuid, unsigned size),
       { code = text(the_mig ? the_mig->uuid : the_gpu->uuid, uuid, size); })
DEVICE(nvmlDeviceGetIndex, (handle device, unsigned *index), { *index = (unsigned)(the_gpu - scenario.gpus); })
DEVICE(nvmlDeviceGetMinorNumber, (handle device, unsigned *minor), { *minor = (unsigned)(the_gpu - scenario.gpus); })

struct pci {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

DEVICE(nvmlDeviceGetPciInfo_v3, (handle device, struct pci *pci), {
    unsigned bus = (unsigned)(the_gpu - scenario.gpus) * 16 + 1;
    memset(pci, 0, sizeof *pci);
    pci->bus = bus;
    snprintf(pci->legacy, sizeof pci->legacy, "0000:%02X:00.0", bus & 0xff);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", bus & 0xff);
})

DEVICE(nvmlDeviceGetCudaComputeCapability, (handle device, int *major, int *minor), { *major = 9; *minor = 0; })
DEVICE(nvmlDeviceGetComputeMode, (handle device, unsigned *mode), { *mode = 0; })
DEVICE(nvmlDeviceGetPersistenceMode, (handle device, unsigned *mode), { *mode = 1; })
DEVICE(nvmlDeviceGetDisplayActive, (handle device, unsigned *active), { *active = 0; })
DEVICE(nvmlDeviceGetDisplayMode, (handle device, unsigned *mode), { *mode = 0; })
DEVICE(nvmlDeviceGetDriverModel, (handle device, unsigned *current, unsigned *pending),
       { (void)current; (void)pending; code = NOT_SUPPORTED; })
DEVICE(nvmlDeviceGetDriverModel_v2, (handle device, unsigned *current, unsigned *pending),
       { (void)current; (void)pending; code = NOT_SUPPORTED; })

/* Memory */

struct memory { bytes total, free, used; };
struct memory_v2 { unsigned version; bytes total, reserved, free, used; };

static result memory_of(struct memory_v2 *memory) {
    long long total = the_mig ? the_mig->total : the_gpu->total;
    long long reserved = the_mig ? the_mig->reserved : the_gpu->reserved;
    long long used = the_mig ? the_mig->used : the_gpu->used;
    if (total < 0)
        return NOT_SUPPORTED;
    memory->total = (bytes)total;
    memory->reserved = (bytes)reserved;
    memory->used = (bytes)used;
    memory->free = (bytes)(total - reserved - used);
    return SUCCESS;
}

DEVICE(nvmlDeviceGetMemoryInfo, (handle device, struct memory *memory), {
    struct memory_v2 now;
    code = memory_of(&now);
    if (!code)
        *memory = (struct memory){now.total, now.free, now.used + now.reserved};
})
#if DRIVER_BRANCH >= 510
DEVICE(nvmlDeviceGetMemoryInfo_v2, (handle device, struct memory_v2 *memory), {
    code = memory->version == (sizeof *memory | (2u << 24)) ? memory_of(memory) : INVALID_ARGUMENT;
})
#endif
DEVICE(nvmlDeviceGetBAR1MemoryInfo, (handle device, struct memory *memory), {
    *memory = (struct memory){1ull << 37, (1ull << 37) - (bytes)the_gpu->bar1_used, (bytes)the_gpu->bar1_used};
})

/* Processes. The record grew with MIG; in the 535 branch alone it also had the protected memory. */

struct process_v1 { unsigned pid; bytes used; };
struct process_v2 { unsigned pid; bytes used; unsigned gpu_instance, compute_instance; };
struct process_wide { unsigned pid; bytes used; unsigned gpu_instance, compute_instance; bytes protected_used; };

static result processes(char kind, unsigned *count, char *into, size_t size) {
    unsigned found = 0, room = into ? *count : 0;
    for (int i = 0; i < the_gpu->process_count; i++) {
        const struct process *process = &the_gpu->processes[i];
        if (!strchr(process->kind, kind) || (the_mig && (int)process->gpu_instance != the_mig->gpu_instance))
            continue;
        struct process_wide entry = {process->pid, (bytes)process->used, process->gpu_instance,
                                     process->compute_instance, 0};
        if (found < room)
            memcpy(into + found * size, &entry, size);
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(name, kind, record) \
    DEVICE(name, (handle device, unsigned *count, struct record *into), \
           { code = processes(kind, count, (char *)into, sizeof *into); })

PROCESSES(nvmlDeviceGetComputeRunningProcesses, 'C', process_v1)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, 'G', process_v1)
#if DRIVER_BRANCH >= 450
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, 'C', process_v2)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, 'G', process_v2)
#endif
#if DRIVER_BRANCH == 535
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, 'C', process_wide)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, 'G', process_wide)
#elif DRIVER_BRANCH >= 510
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, 'C', process_v2)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, 'G', process_v2)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, 'M', process_v2)
#endif
#if DRIVER_BRANCH >= 535
DEVICE(nvmlDeviceGetConfComputeMemSizeInfo, (handle device, void *sizes), { (void)sizes; code = NOT_SUPPORTED; })
#endif
#if DRIVER_BRANCH > 535
DEVICE(nvmlDeviceGetRunningProcessDetailList, (handle device, void *list), { (void)list; code = NOT_SUPPORTED; })
#endif
DEVICE(nvmlDeviceGetProcessUtilization, (handle device, void *samples, unsigned *count, unsigned long long since), {
    (void)samples; (void)since;
    *count = 0;
    code = NOT_FOUND;
})

/* Load, heat, power, clocks */

struct utilization { unsigned gpu, memory; };

DEVICE(nvmlDeviceGetUtilizationRates, (handle device, struct utilization *rates), {
    code = the_mig || the_gpu->mig_mode == 1 ? NOT_SUPPORTED : number(the_gpu->utilization, &rates->gpu);
    if (!code)
        code = number(the_gpu->memory_utilization, &rates->memory);
})
DEVICE(nvmlDeviceGetEncoderUtilization, (handle device, unsigned *share, unsigned *period_us),
       { *period_us = 167000; code = number(the_gpu->encoder, share); })
DEVICE(nvmlDeviceGetDecoderUtilization, (handle device, unsigned *share, unsigned *period_us),
       { *period_us = 167000; code = number(the_gpu->decoder, share); })

DEVICE(nvmlDeviceGetTemperature, (handle device, unsigned sensor, unsigned *celsius),
       { code = sensor ? INVALID_ARGUMENT : number(the_gpu->temperature, celsius); })
#if DRIVER_BRANCH >= 560
struct temperature { unsigned version, sensor; int celsius; };
DEVICE(nvmlDeviceGetTemperatureV, (handle device, struct temperature *temperature),
       { code = number(the_gpu->temperature, (unsigned *)&temperature->celsius); })
struct margin { unsigned version; int celsius; };
DEVICE(nvmlDeviceGetMarginTemperature, (handle device, struct margin *margin),
       { code = number(the_gpu->margin_temperature, (unsigned *)&margin->celsius); })
#endif
DEVICE(nvmlDeviceGetTemperatureThreshold, (handle device, unsigned which, unsigned *celsius),
       { code = which == 1 ? number(the_gpu->slowdown_temperature, celsius) : NOT_SUPPORTED; })
DEVICE_NUMBER(nvmlDeviceGetFanSpeed, fan)
DEVICE_NUMBER(nvmlDeviceGetPowerUsage, power)
DEVICE_NUMBER(nvmlDeviceGetEnforcedPowerLimit, power_limit)
DEVICE_NUMBER(nvmlDeviceGetPowerManagementLimit, power_limit)
DEVICE_NUMBER(nvmlDeviceGetPerformanceState, performance_state)

/* Clock types: 0 graphics, 1 SM, 2 memory, 3 video. */
DEVICE(nvmlDeviceGetClockInfo, (handle device, unsigned type, unsigned *mhz),
       { code = number(type == 2 ? the_gpu->memory_clock : the_gpu->sm_clock, mhz); })
DEVICE(nvmlDeviceGetMaxClockInfo, (handle device, unsigned type, unsigned *mhz),
       { code = number(type == 2 ? the_gpu->max_memory_clock : the_gpu->max_sm_clock, mhz); })

static result throttle(bytes *reasons) {
    if (the_gpu->throttle < 0)
        return NOT_SUPPORTED;
    *reasons = (bytes)the_gpu->throttle;
    return SUCCESS;
}

DEVICE(nvmlDeviceGetCurrentClocksThrottleReasons, (handle device, bytes *reasons), { code = throttle(reasons); })
#if DRIVER_BRANCH >= 535
DEVICE(nvmlDeviceGetCurrentClocksEventReasons, (handle device, bytes *reasons), { code = throttle(reasons); })
#endif

/* Memory errors and the link. Error types: 0 corrected, 1 uncorrected; counters: 0 volatile, 1 aggregate. */

DEVICE(nvmlDeviceGetEccMode, (handle device, unsigned *current, unsigned *pending), {
    code = number(the_gpu->ecc_enabled, current);
    *pending = *current;
})
DEVICE(nvmlDeviceGetTotalEccErrors, (handle device, unsigned type, unsigned counter, bytes *errors), {
    long long value = counter ? (type ? the_gpu->lifetime_uncorrected : the_gpu->lifetime_corrected)
                              : (type ? the_gpu->uncorrected : the_gpu->corrected);
    code = the_gpu->ecc_enabled == 1 && value >= 0 ? SUCCESS : NOT_SUPPORTED;
    *errors = code ? 0 : (bytes)value;
})
DEVICE_NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, pcie_generation)
DEVICE_NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, max_pcie_generation)
DEVICE_NUMBER(nvmlDeviceGetCurrPcieLinkWidth, pcie_width)
DEVICE_NUMBER(nvmlDeviceGetMaxPcieLinkWidth, max_pcie_width)
DEVICE(nvmlDeviceGetPcieThroughput, (handle device, unsigned counter, unsigned *kib_per_s),
       { code = number(counter ? the_gpu->pcie_rx : the_gpu->pcie_tx, kib_per_s); })

/* MIG */

#if DRIVER_BRANCH >= 450
DEVICE(nvmlDeviceGetMigMode, (handle device, unsigned *current, unsigned *pending), {
    code = number(the_gpu->mig_mode, current);
    *pending = *current;
})
DEVICE(nvmlDeviceIsMigDeviceHandle, (handle device, unsigned *is), { *is = the_mig != NULL; })
DEVICE(nvmlDeviceGetMaxMigDeviceCount, (handle device, unsigned *count), { *count = the_gpu->mig_mode == 1 ? 7 : 0; })
DEVICE(nvmlDeviceGetMigDeviceHandleByIndex, (handle device, unsigned index, handle *mig), {
    if (index < (unsigned)the_gpu->mig_count)
        *mig = handle_of((int)(the_gpu - scenario.gpus), (int)index);
    else
        code = NOT_FOUND;
})
DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, (handle device, handle *parent),
       { *parent = handle_of((int)(the_gpu - scenario.gpus), NO_MIG); })
DEVICE(nvmlDeviceGetGpuInstanceId, (handle device, unsigned *id),
       { code = the_mig ? number(the_mig->gpu_instance, id) : NOT_SUPPORTED; })
DEVICE(nvmlDeviceGetComputeInstanceId, (handle device, unsigned *id),
       { code = the_mig ? number(the_mig->compute_instance, id) : NOT_SUPPORTED; })
#endif
