// SPDX-License-Identifier: MIT
/**
 * /dev/kvm by Deno's FFI: the system calls that `cpu/kvm/` works with. A door to the host, next to the C library's. Raw
 * system calls, so that no version of the C library matters; x86-64 only, as are the guests.
 *
 * The alarm is a POSIX timer whose signal goes to this thread and is blocked there: it has no handler, ends KVM_RUN
 * (which unblocks it while it runs, KVM_SET_SIGNAL_MASK), and disturbs nothing else.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type KvmHost, NoKvmError } from "../../cpu/base/kvm_host.ts";
import { layout } from "../../cpu/base/layout.ts";
import { cstring, EACCES, ENOENT, ENXIO, EPERM, type Libc, libc, mayUseLibc, strerror } from "./libc.ts";

const DEVICE = "/dev/kvm";
const O_RDWR = 2, O_CLOEXEC = 0o2000000;
const PROT_READ_WRITE = 3, MAP_SHARED = 1;
const MADV_HUGEPAGE = 14;
const SIG_BLOCK = 0, SIGEV_THREAD_ID = 4, CLOCK_MONOTONIC = 1;
/** A real-time signal that nobody else uses: SIGRTMAX is 64. */
const ALARM_SIGNAL = 63;
/** Bytes of a set of signals. */
const SIGSET_BYTES = 8;
/** Numbers of system calls, asm/unistd_64.h. */
const SYS = {
  mmap: 9,
  munmap: 11,
  rt_sigprocmask: 14,
  madvise: 28,
  rt_sigtimedwait: 128,
  gettid: 186,
  timer_create: 222,
  timer_settime: 223,
};

/** struct sigevent, as far as SIGEV_THREAD_ID needs it, and its padding. */
const sigevent = layout({
  sigev_value: "u64",
  sigev_signo: "i32",
  sigev_notify: "i32",
  tid: "i32",
  pad: ["i32", 11],
});
/** struct itimerspec: seconds and nanoseconds, interval first. */
const itimerspec = layout({ it_interval: ["i64", 2], it_value: ["i64", 2] });

type Arguments = [number, number, number, number, number, number];

/** KVM of this machine. Nothing is opened yet. */
export function kvmHost(): KvmHost {
  return new LinuxKvm();
}

/** The processor's features as Linux lists them, one line for each processor. */
const CPUINFO = "/proc/cpuinfo";

/** The features of the first one; undefined where they cannot be read. */
export function hostCpuFlags(): readonly string[] | undefined {
  try {
    return /^flags\s*:(.*)$/m.exec(Deno.readTextFileSync(CPUINFO))?.[1]?.trim().split(/\s+/) ?? [];
  } catch {
    return undefined;
  }
}

/** Why KVM here is no processor's; undefined: it is one's, or nobody may look. */
export function whyNotHardware(): string | undefined {
  const features = hostCpuFlags();
  if (features === undefined || features.includes("vmx") || features.includes("svm")) return undefined;
  return "this processor has neither VMX nor SVM, so its KVM only emulates";
}

class LinuxKvm implements KvmHost {
  #libc: Libc | undefined;
  #timer: { readonly id: number } | undefined;
  readonly #spec = new BigInt64Array(itimerspec.size / 8);
  readonly #set = BigUint64Array.of(1n << BigInt(ALARM_SIGNAL - 1));
  readonly #now = new BigInt64Array(2);

  open(): number {
    if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
      throw new NoKvmError(`this is ${Deno.build.os} on ${Deno.build.arch}, and it needs Linux on x86-64`);
    }
    const whole = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
    if (!whole || !mayUseLibc()) {
      throw new NoKvmError("run with --allow-ffi (for all files)");
    }
    const { call, errno } = this.#libc = libc();
    const fd = call.open(cstring(DEVICE), O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    throw new NoKvmError(whyNot(errno()), "--engine jit needs no KVM");
  }
  close(fd: number): void {
    this.#c.call.close(fd);
  }
  get #c(): Libc {
    return this.#libc ??= libc();
  }

  ioctl(fd: number, request: number, argument: number | Uint8Array<ArrayBuffer>): number {
    const { call, errno } = this.#c;
    const result = typeof argument === "number"
      ? call.ioctl_value(fd, BigInt(request), BigInt(argument))
      : call.ioctl(fd, BigInt(request), argument);
    return result < 0 ? -errno() : result;
  }

  map(fd: number, bytes: number): { readonly buffer: ArrayBuffer; unmap(): void } {
    const address = this.#syscall(
      "share memory with KVM",
      SYS.mmap,
      0,
      bytes,
      PROT_READ_WRITE,
      MAP_SHARED,
      fd,
      0,
    );
    const pointer = Deno.UnsafePointer.create(BigInt(address));
    if (pointer === null) throw new Error("mmap returned NULL");
    return {
      buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, bytes),
      unmap: () => this.#syscall("take back memory from KVM", SYS.munmap, address, bytes, 0, 0, 0, 0),
    };
  }

  addressOf(buffer: ArrayBufferLike): number {
    const bytes = new Uint8Array(buffer as ArrayBuffer);
    return Number(this.#c.call.address_of(bytes, bytes, 0n));
  }

  preferLargePages(address: number, bytes: number): void {
    this.#raw(SYS.madvise, address, bytes, MADV_HUGEPAGE, 0, 0, 0); // a kernel without them says EINVAL
  }

  setAlarm(ns: number): void {
    const { id } = this.#timer ??= this.#createTimer();
    this.#spec[2] = BigInt(Math.floor(ns / 1e9));
    this.#spec[3] = BigInt(Math.max(1, Math.floor(ns % 1e9))); // 0 would be no alarm at all
    this.#syscall("set a timer", SYS.timer_settime, id, 0, this.addressOf(this.#spec.buffer), 0, 0, 0);
  }
  #createTimer(): { readonly id: number } {
    const set = this.addressOf(this.#set.buffer);
    this.#syscall("block a signal", SYS.rt_sigprocmask, SIG_BLOCK, set, 0, SIGSET_BYTES, 0, 0);
    const event = new DataView(new ArrayBuffer(sigevent.size));
    event.setInt32(sigevent.at.sigev_signo, ALARM_SIGNAL, true);
    event.setInt32(sigevent.at.sigev_notify, SIGEV_THREAD_ID, true);
    event.setInt32(sigevent.at.tid, this.#syscall("find this thread", SYS.gettid, 0, 0, 0, 0, 0, 0), true);
    const id = new Int32Array(1);
    const at = this.addressOf(event.buffer), out = this.addressOf(id.buffer);
    this.#syscall("make a timer", SYS.timer_create, CLOCK_MONOTONIC, at, out, 0, 0, 0);
    return { id: id[0] as number };
  }
  nowNs(): number {
    return performance.now() * 1e6;
  }
  takeAlarm(): void {
    const set = this.addressOf(this.#set.buffer), now = this.addressOf(this.#now.buffer);
    this.#raw(SYS.rt_sigtimedwait, set, 0, now, SIGSET_BYTES, 0, 0); // EAGAIN: another signal it was
  }

  #raw(nr: number, ...args: Arguments): number {
    const [a, b, c, d, e, f] = args;
    const call = this.#c.call.syscall;
    return Number(call(BigInt(nr), BigInt(a), BigInt(b), BigInt(c), BigInt(d), BigInt(e), BigInt(f)));
  }
  #syscall(what: string, nr: number, ...args: Arguments): number {
    const result = this.#raw(nr, ...args);
    if (result === -1) {
      throw new ConfigError(`Cannot ${what}: ${strerror(this.#c.errno())}`, "host");
    }
    return result;
  }

  strerror(errno: number): string {
    return strerror(errno);
  }
}

/** What an errno of opening the device means for people. */
function whyNot(errno: number): string {
  switch (errno) {
    case ENOENT:
      return `there is no ${DEVICE}; load the module kvm_intel or kvm_amd, or turn virtualization on in the firmware`;
    case EACCES:
    case EPERM:
      return `no right to open ${DEVICE}; join the group kvm`;
    case ENXIO:
      return `nothing is behind ${DEVICE}; load the module kvm_intel or kvm_amd`;
    default:
      return `cannot open ${DEVICE}: ${strerror(errno)}`;
  }
}
