// SPDX-License-Identifier: MIT
/**
 * Structures and numbers of Linux' uapi headers linux/kvm.h and asm/kvm.h, with their names there. api_test.ts asks the C
 * compiler for every offset and every number.
 * @module
 */
import { layout } from "../base/layout.ts";

/** struct kvm_userspace_memory_region. */
export const kvm_userspace_memory_region = layout({
  slot: "u32",
  flags: "u32",
  guest_phys_addr: "u64",
  memory_size: "u64",
  userspace_addr: "u64",
});
/** struct kvm_regs. */
export const kvm_regs = layout({
  rax: "u64",
  rbx: "u64",
  rcx: "u64",
  rdx: "u64",
  rsi: "u64",
  rdi: "u64",
  rsp: "u64",
  rbp: "u64",
  r8: "u64",
  r9: "u64",
  r10: "u64",
  r11: "u64",
  r12: "u64",
  r13: "u64",
  r14: "u64",
  r15: "u64",
  rip: "u64",
  rflags: "u64",
});
/** struct kvm_segment. */
export const kvm_segment = layout({
  base: "u64",
  limit: "u32",
  selector: "u16",
  type: "u8",
  present: "u8",
  dpl: "u8",
  db: "u8",
  s: "u8",
  l: "u8",
  g: "u8",
  avl: "u8",
  unusable: "u8",
  padding: "u8",
});
/** struct kvm_dtable. */
export const kvm_dtable = layout({ base: "u64", limit: "u16", padding: ["u16", 3] });
/** struct kvm_sregs. */
export const kvm_sregs = layout({
  cs: kvm_segment,
  ds: kvm_segment,
  es: kvm_segment,
  fs: kvm_segment,
  gs: kvm_segment,
  ss: kvm_segment,
  tr: kvm_segment,
  ldt: kvm_segment,
  gdt: kvm_dtable,
  idt: kvm_dtable,
  cr0: "u64",
  cr2: "u64",
  cr3: "u64",
  cr4: "u64",
  cr8: "u64",
  efer: "u64",
  apic_base: "u64",
  interrupt_bitmap: ["u64", 4],
});
/** struct kvm_msr_entry. */
export const kvm_msr_entry = layout({ index: "u32", reserved: "u32", data: "u64" });
/** struct kvm_msrs, without its entries. */
export const kvm_msrs = layout({ nmsrs: "u32", pad: "u32" });
/** struct kvm_msr_list, without its indices. */
export const kvm_msr_list = layout({ nmsrs: "u32" });
/** struct kvm_msr_filter_range. */
export const kvm_msr_filter_range = layout({ flags: "u32", nmsrs: "u32", base: "u32", bitmap: "u64" });
/** struct kvm_msr_filter. */
export const kvm_msr_filter = layout({ flags: "u32", ranges: [kvm_msr_filter_range, 16] });
/** struct kvm_cpuid_entry2. */
export const kvm_cpuid_entry2 = layout({
  function: "u32",
  index: "u32",
  flags: "u32",
  eax: "u32",
  ebx: "u32",
  ecx: "u32",
  edx: "u32",
  padding: ["u32", 3],
});
/** struct kvm_cpuid2, without its entries. */
export const kvm_cpuid2 = layout({ nent: "u32", padding: "u32" });
/** struct kvm_xen_hvm_config. */
export const kvm_xen_hvm_config = layout({
  flags: "u32",
  msr: "u32",
  blob_addr_32: "u64",
  blob_addr_64: "u64",
  blob_size_32: "u8",
  blob_size_64: "u8",
  pad2: ["u8", 30],
});
/** struct kvm_enable_cap. */
export const kvm_enable_cap = layout({ cap: "u32", flags: "u32", args: ["u64", 4], pad: ["u8", 64] });
/** struct kvm_debugregs. */
export const kvm_debugregs = layout({
  db: ["u64", 4],
  dr6: "u64",
  dr7: "u64",
  flags: "u64",
  reserved: ["u64", 9],
});
/** struct kvm_vcpu_events, as bytes. */
export const kvm_vcpu_events = layout({ bytes: ["u64", 8] });
/** struct kvm_xsave, as bytes. */
export const kvm_xsave = layout({ region: ["u32", 1024] });
/** struct kvm_xcr. */
export const kvm_xcr = layout({ xcr: "u32", reserved: "u32", value: "u64" });
/** struct kvm_xcrs. */
export const kvm_xcrs = layout({
  nr_xcrs: "u32",
  flags: "u32",
  xcrs: [kvm_xcr, 16],
  padding: ["u64", 16],
});
/** struct kvm_mp_state. */
export const kvm_mp_state = layout({ mp_state: "u32" });
/** struct kvm_interrupt. */
export const kvm_interrupt = layout({ irq: "u32" });
/** struct kvm_signal_mask, without its set. */
export const kvm_signal_mask = layout({ len: "u32" });

/** The beginning of struct kvm_run, up to its union. */
export const kvm_run = layout({
  request_interrupt_window: "u8",
  immediate_exit: "u8",
  padding1: ["u8", 6],
  exit_reason: "u32",
  ready_for_interrupt_injection: "u8",
  if_flag: "u8",
  flags: "u16",
  cr8: "u64",
  apic_base: "u64",
  io: layout({ bytes: ["u64", 32] }),
  kvm_valid_regs: "u64",
  kvm_dirty_regs: "u64",
  s: layout({ bytes: ["u64", 256] }),
});
/** kvm_run.io; offsets from the union's first byte. */
export const kvm_run_io = layout({
  direction: "u8",
  size: "u8",
  port: "u16",
  count: "u32",
  data_offset: "u64",
});
/** kvm_run.mmio. */
export const kvm_run_mmio = layout({ phys_addr: "u64", data: ["u8", 8], len: "u32", is_write: "u8" });
/** kvm_run.msr. */
export const kvm_run_msr = layout({ error: "u8", pad: ["u8", 7], reason: "u32", index: "u32", data: "u64" });
/** kvm_run.internal. */
export const kvm_run_internal = layout({ suberror: "u32", ndata: "u32", data: ["u64", 16] });
/** kvm_run.emulation_failure: the same for KVM_INTERNAL_ERROR_EMULATION. */
export const kvm_run_emulation_failure = layout({
  suberror: "u32",
  ndata: "u32",
  flags: "u64",
  insn_size: "u8",
  insn_bytes: ["u8", 15],
});
export const KVM_INTERNAL_ERROR_EMULATION = 1, KVM_INTERNAL_ERROR_SIMUL_EX = 2;
export const KVM_INTERNAL_ERROR_DELIVERY_EV = 3, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;
/** kvm_run.fail_entry. */
export const kvm_run_fail_entry = layout({ hardware_entry_failure_reason: "u64", cpu: "u32" });

/** kvm_run.xen, as struct kvm_xen_exit with a hypercall in its union. */
export const kvm_run_xen = layout({
  type: "u32",
  pad: "u32",
  longmode: "u32",
  cpl: "u32",
  input: "u64",
  result: "u64",
  params: ["u64", 6],
});

// linux/ioctl.h
const KVMIO = 0xae;
const io = (nr: number) => (KVMIO << 8) | nr;
const iow = (nr: number, of: { size: number }) => ((1 << 30) | (of.size << 16) | io(nr)) >>> 0;
const ior = (nr: number, of: { size: number }) => ((2 << 30) | (of.size << 16) | io(nr)) >>> 0;
const iowr = (nr: number, of: { size: number }) => ((3 << 30) | (of.size << 16) | io(nr)) >>> 0;

/** Requests of ioctl. */
export const KVM_GET_API_VERSION: number = io(0x00);
export const KVM_CREATE_VM: number = io(0x01);
export const KVM_GET_MSR_INDEX_LIST: number = iowr(0x02, kvm_msr_list);
export const KVM_CHECK_EXTENSION: number = io(0x03);
export const KVM_GET_VCPU_MMAP_SIZE: number = io(0x04);
export const KVM_GET_SUPPORTED_CPUID: number = iowr(0x05, kvm_cpuid2);
export const KVM_CREATE_VCPU: number = io(0x41);
export const KVM_SET_USER_MEMORY_REGION: number = iow(0x46, kvm_userspace_memory_region);
export const KVM_SET_TSS_ADDR: number = io(0x47);
export const KVM_SET_IDENTITY_MAP_ADDR: number = iow(0x48, { size: 8 });
export const KVM_XEN_HVM_CONFIG: number = iow(0x7a, kvm_xen_hvm_config);
export const KVM_RUN: number = io(0x80);
export const KVM_GET_REGS: number = ior(0x81, kvm_regs);
export const KVM_SET_REGS: number = iow(0x82, kvm_regs);
export const KVM_GET_SREGS: number = ior(0x83, kvm_sregs);
export const KVM_SET_SREGS: number = iow(0x84, kvm_sregs);
export const KVM_INTERRUPT: number = iow(0x86, kvm_interrupt);
export const KVM_GET_MSRS: number = iowr(0x88, kvm_msrs);
export const KVM_SET_MSRS: number = iow(0x89, kvm_msrs);
export const KVM_SET_SIGNAL_MASK: number = iow(0x8b, kvm_signal_mask);
export const KVM_SET_CPUID2: number = iow(0x90, kvm_cpuid2);
export const KVM_GET_MP_STATE: number = ior(0x98, kvm_mp_state);
export const KVM_SET_MP_STATE: number = iow(0x99, kvm_mp_state);
export const KVM_NMI: number = io(0x9a);
export const KVM_GET_VCPU_EVENTS: number = ior(0x9f, kvm_vcpu_events);
export const KVM_SET_VCPU_EVENTS: number = iow(0xa0, kvm_vcpu_events);
export const KVM_GET_DEBUGREGS: number = ior(0xa1, kvm_debugregs);
export const KVM_SET_DEBUGREGS: number = iow(0xa2, kvm_debugregs);
export const KVM_GET_TSC_KHZ: number = io(0xa3);
export const KVM_ENABLE_CAP: number = iow(0xa3, kvm_enable_cap);
export const KVM_GET_XSAVE: number = ior(0xa4, kvm_xsave);
export const KVM_SET_XSAVE: number = iow(0xa5, kvm_xsave);
export const KVM_GET_XCRS: number = ior(0xa6, kvm_xcrs);
export const KVM_SET_XCRS: number = iow(0xa7, kvm_xcrs);
export const KVM_X86_SET_MSR_FILTER: number = iow(0xc6, kvm_msr_filter);

/** Capabilities. */
export const KVM_CAP_XEN_HVM = 38;
export const KVM_CAP_SYNC_REGS = 74;
export const KVM_CAP_IMMEDIATE_EXIT = 136;
export const KVM_CAP_X86_USER_SPACE_MSR = 188;
export const KVM_CAP_X86_MSR_FILTER = 189;

/** kvm_run.exit_reason. */
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_IRQ_WINDOW_OPEN = 7;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_X86_RDMSR = 29;
export const KVM_EXIT_X86_WRMSR = 30;

export const KVM_EXIT_XEN = 34;

export const KVM_EXIT_XEN_HCALL = 1;
export const KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL = 2;
export const KVM_EXIT_IO_OUT = 1;
export const KVM_MSR_EXIT_REASON_INVAL = 1;
export const KVM_MSR_EXIT_REASON_UNKNOWN = 2;
export const KVM_MSR_EXIT_REASON_FILTER = 4;
export const KVM_MSR_FILTER_READ = 1;
export const KVM_MSR_FILTER_WRITE = 2;
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;
export const KVM_SYNC_X86_REGS = 1;
