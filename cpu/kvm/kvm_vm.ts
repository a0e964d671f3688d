// SPDX-License-Identifier: MIT
/**
 * A virtual machine of KVM with one processor: opened, checked and set up so that everything the guest does to devices,
 * Xen and the local APIC comes to us. Calls of KVM by name, with errors that name them.
 * @module
 */
import { ConfigError } from "../base/assert.ts";
import { type KvmHost, NoKvmError } from "../base/kvm_host.ts";
import * as api from "./api.ts";

const API_VERSION = 12;
/** Pages that KVM itself uses on Intel's processors: in the range of the BIOS, where nothing of ours is. */
const TSS_ADDRESS = 0xfffb_d000, IDENTITY_MAP_ADDRESS = 0xfffb_c000;
const NEEDED = [
  [api.KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS (Linux 4.17)"],
  [api.KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT (Linux 4.11)"],
  [api.KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR (Linux 5.10)"],
  [api.KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER (Linux 5.10)"],
] as const;
const HYPERCALL_PAGE_MSR = 0x4000_0000;
/** MSRs that come to us: the APIC's base and its TSC deadline, and all that a hypervisor may have. */
const FILTERED = [[0x1b, 1], [0x6e0, 1], [HYPERCALL_PAGE_MSR, 0x1000]] as const;
const MOST_CPUID_ENTRIES = 256;

/** See the module's description. */
export class KvmVm {
  readonly #fds: number[] = [];
  readonly #vm: number;
  readonly #vcpu: number;
  /** struct kvm_run and what follows it; a copy when it is closed. */
  run: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(0));
  #unmap: (() => void) | undefined;
  #made = false;
  readonly tscHz: number;
  /** Whether VMCALL and VMMCALL come to us, as KVM_EXIT_XEN. */
  readonly takesHypercalls: boolean;
  /** MSRs that KVM keeps, and that can be saved. */
  readonly msrIndices: readonly number[];
  /** struct kvm_cpuid2: what the host can do. */
  readonly supportedCpuid: Uint8Array<ArrayBuffer>;

  constructor(readonly host: KvmHost) {
    const kvm = this.#own(host.open());
    try {
      const version = host.ioctl(kvm, api.KVM_GET_API_VERSION, 0);
      if (version !== API_VERSION) {
        throw new NoKvmError(`KVM has API version ${version}, not ${API_VERSION}`);
      }
      for (const [capability, name] of NEEDED) {
        if (host.ioctl(kvm, api.KVM_CHECK_EXTENSION, capability) > 0) continue;
        throw new NoKvmError(`this host's KVM lacks ${name}`);
      }
      this.#vm = this.#own(this.#check("KVM_CREATE_VM", host.ioctl(kvm, api.KVM_CREATE_VM, 0)));
      this.#check(
        "KVM_SET_IDENTITY_MAP_ADDR",
        host.ioctl(this.#vm, api.KVM_SET_IDENTITY_MAP_ADDR, u64(IDENTITY_MAP_ADDRESS)),
      );
      this.#check("KVM_SET_TSS_ADDR", host.ioctl(this.#vm, api.KVM_SET_TSS_ADDR, TSS_ADDRESS));
      this.#filterMsrs();
      this.takesHypercalls = this.#takeHypercalls(kvm);
      this.#vcpu = this.#own(this.#check("KVM_CREATE_VCPU", host.ioctl(this.#vm, api.KVM_CREATE_VCPU, 0)));
      const bytes = this.#check("KVM_GET_VCPU_MMAP_SIZE", host.ioctl(kvm, api.KVM_GET_VCPU_MMAP_SIZE, 0));
      const mapped = host.map(this.#vcpu, bytes);
      this.run = new DataView(mapped.buffer);
      this.#unmap = () => mapped.unmap();
      this.tscHz = this.#check("KVM_GET_TSC_KHZ", host.ioctl(this.#vcpu, api.KVM_GET_TSC_KHZ, 0)) * 1000;
      this.call("KVM_SET_SIGNAL_MASK", signalMask()); // none is blocked while the guest runs
      this.supportedCpuid = cpuidBuffer();
      this.#check(
        "KVM_GET_SUPPORTED_CPUID",
        host.ioctl(kvm, api.KVM_GET_SUPPORTED_CPUID, this.supportedCpuid),
      );
      this.msrIndices = this.#msrIndices(kvm);
      this.#made = true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #own(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }
  /** Gives everything back. */
  close(): void {
    this.run = new DataView(this.run.buffer.slice(0));
    this.#unmap?.();
    this.#unmap = undefined;
    for (const fd of this.#fds.splice(0).reverse()) this.host.close(fd);
  }

  #check(what: string, result: number): number {
    if (result >= 0) return result;
    const why = `${what}: ${this.host.strerror(-result)}`;
    throw this.#made ? new ConfigError(`Cannot go on with KVM: ${why}`, "host") : new NoKvmError(why);
  }

  /** A call on the processor. */
  call(
    name: Extract<keyof typeof api, `KVM_${"GET" | "SET" | "NMI" | "INTERRUPT"}${string}`>,
    argument: number | Uint8Array<ArrayBuffer> = 0,
  ): number {
    return this.#check(name, this.host.ioctl(this.#vcpu, api[name], argument));
  }
  /** Runs the guest until something comes up: 0, or minus errno. */
  enter(): number {
    return this.host.ioctl(this.#vcpu, api.KVM_RUN, 0);
  }

  /** Guest memory of `bytes` at `gpa` is at `address` of this process; 0 bytes: the slot goes. */
  setSlot(slot: number, gpa: number, bytes: number, address: number): void {
    const { at, size } = api.kvm_userspace_memory_region;
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(at.slot, slot, true);
    view.setBigUint64(at.guest_phys_addr, BigInt(gpa), true);
    view.setBigUint64(at.memory_size, BigInt(bytes), true);
    view.setBigUint64(at.userspace_addr, BigInt(address), true);
    const result = this.host.ioctl(this.#vm, api.KVM_SET_USER_MEMORY_REGION, new Uint8Array(view.buffer));
    this.#check("KVM_SET_USER_MEMORY_REGION", result);
  }

  /**
   * Has KVM hand over hypercalls, where it can (CONFIG_KVM_XEN). That is in force while KVM knows an MSR for the hypercall
   * page; its writes are filtered, so that they come to us all the same, and KVM writes no page.
   */
  #takeHypercalls(kvm: number): boolean {
    const can = this.host.ioctl(kvm, api.KVM_CHECK_EXTENSION, api.KVM_CAP_XEN_HVM);
    if (can <= 0 || (can & api.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) === 0) return false;
    const { at, size } = api.kvm_xen_hvm_config;
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(at.flags, api.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, true);
    view.setUint32(at.msr, HYPERCALL_PAGE_MSR, true);
    const result = this.host.ioctl(this.#vm, api.KVM_XEN_HVM_CONFIG, new Uint8Array(view.buffer));
    this.#check("KVM_XEN_HVM_CONFIG", result);
    return true;
  }

  #filterMsrs(): void {
    const cap = api.kvm_enable_cap;
    const enable = new DataView(new ArrayBuffer(cap.size));
    enable.setUint32(cap.at.cap, api.KVM_CAP_X86_USER_SPACE_MSR, true);
    const reasons = api.KVM_MSR_EXIT_REASON_INVAL | api.KVM_MSR_EXIT_REASON_UNKNOWN |
      api.KVM_MSR_EXIT_REASON_FILTER;
    enable.setBigUint64(cap.at.args, BigInt(reasons), true);
    this.#check(
      "KVM_ENABLE_CAP",
      this.host.ioctl(this.#vm, api.KVM_ENABLE_CAP, new Uint8Array(enable.buffer)),
    );

    const none = new ArrayBuffer(0x1000 / 8); // no bit set: nothing in the range is KVM's
    const bitmap = BigInt(this.host.addressOf(none));
    const filter = new DataView(new ArrayBuffer(api.kvm_msr_filter.size)); // what is in no range is allowed
    const { at, size } = api.kvm_msr_filter_range;
    FILTERED.forEach(([base, count], i) => {
      const range = api.kvm_msr_filter.at.ranges + i * size;
      filter.setUint32(range + at.flags, api.KVM_MSR_FILTER_READ | api.KVM_MSR_FILTER_WRITE, true);
      filter.setUint32(range + at.nmsrs, count, true);
      filter.setUint32(range + at.base, base, true);
      filter.setBigUint64(range + at.bitmap, bitmap, true);
    });
    const result = this.host.ioctl(this.#vm, api.KVM_X86_SET_MSR_FILTER, new Uint8Array(filter.buffer));
    this.#check("KVM_X86_SET_MSR_FILTER", result);
  }

  #msrIndices(kvm: number): number[] {
    const count = new Uint32Array(1);
    this.host.ioctl(kvm, api.KVM_GET_MSR_INDEX_LIST, new Uint8Array(count.buffer)); // E2BIG, and how many
    const list = new Uint32Array(1 + (count[0] as number));
    list[0] = count[0] as number;
    const result = this.host.ioctl(kvm, api.KVM_GET_MSR_INDEX_LIST, new Uint8Array(list.buffer));
    this.#check("KVM_GET_MSR_INDEX_LIST", result);
    return [...list.subarray(1)];
  }

  /** Value of an MSR that KVM keeps; undefined: it does not. */
  readMsr(index: number): bigint | undefined {
    const bytes = msrs(index, 0n);
    if (this.call("KVM_GET_MSRS", bytes) !== 1) return undefined;
    return new DataView(bytes.buffer).getBigUint64(api.kvm_msrs.size + api.kvm_msr_entry.at.data, true);
  }
  /** Sets an MSR that KVM keeps; false: it does not, or not to that. */
  writeMsr(index: number, value: bigint): boolean {
    return this.call("KVM_SET_MSRS", msrs(index, value)) === 1;
  }
}

/** Why `host`'s KVM cannot be used; undefined: a machine could be made with it. */
export function whyNoVm(host: KvmHost): string | undefined {
  try {
    new KvmVm(host).close();
    return undefined;
  } catch (error) {
    if (error instanceof NoKvmError) return error.why;
    throw error;
  }
}

function u64(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}
function signalMask(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(api.kvm_signal_mask.size + 8);
  bytes[api.kvm_signal_mask.at.len] = 8;
  return bytes;
}
function cpuidBuffer(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(api.kvm_cpuid2.size + MOST_CPUID_ENTRIES * api.kvm_cpuid_entry2.size);
  new DataView(bytes.buffer).setUint32(api.kvm_cpuid2.at.nent, MOST_CPUID_ENTRIES, true);
  return bytes;
}
function msrs(index: number, value: bigint): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(api.kvm_msrs.size + api.kvm_msr_entry.size));
  view.setUint32(api.kvm_msrs.at.nmsrs, 1, true);
  view.setUint32(api.kvm_msrs.size + api.kvm_msr_entry.at.index, index, true);
  view.setBigUint64(api.kvm_msrs.size + api.kvm_msr_entry.at.data, value, true);
  return new Uint8Array(view.buffer);
}
