// SPDX-License-Identifier: MIT
/**
 * What guests of our own have in common, on top of the assembler: start by PVH, the way into 64-bit mode, descriptor
 * tables, a #GP handler that continues elsewhere, the four steps to the hypercall page, hypercalls, the PV console.
 *
 * Everything a guest keeps is in memory at fixed addresses (flat, identity mapped); hypercalls clobber EAX, EBX, ECX,
 * EDX, ESI and EDI as far as programs are concerned.
 * @module
 */
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_hvm_op,
  __HYPERVISOR_sched_op,
} from "../../xen/public/xen.ts";
import { EVTCHNOP_send } from "../../xen/public/event_channel.ts";
import { HVMOP_get_param, xen_hvm_param } from "../../xen/public/hvm/hvm_op.ts";
import { HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN } from "../../xen/public/hvm/params.ts";
import { xencons_interface } from "../../xen/public/io/console.ts";
import { SCHEDOP_shutdown, SHUTDOWN_crash, SHUTDOWN_poweroff } from "../../xen/public/sched.ts";
import {
  Assembler,
  EAX,
  EBX,
  ECX,
  EDI,
  EDX,
  ESI,
  ESP,
  type Memory,
  type Register,
  type Value,
} from "./_assembler.ts";
import { HYPERCALL_PORT } from "../../xen/platform/hypercall_page.ts";
import { enterLongMode } from "./_long_mode.ts";
import { pvhImage } from "./_pvh_image.ts";

/** Where the image starts, and how much memory it takes: everything below is inside. */
export const IMAGE_BASE = 0x10_0000;
export const IMAGE_BYTES = 0x20_0000;
/** Fixed places. */
export const STACK_TOP = 0x18_0000;
const TSS = 0x18_1000, IDT = 0x18_2000, PML4 = 0x18_4000, PDPT = 0x18_5000;
const USER_STACK_TOP = 0x18_8000;
/** Four page directories of 2 MiB pages: not every processor has pages of 1 GiB. */
const DIRECTORIES = 0x19_0000, DIRECTORIES_END = DIRECTORIES + 4 * 4096;
/** Pages for the hypercall binary. */
export const HYPERCALL_PAGES_AT = 0x20_0000;
/** Free for programs: up to IMAGE_BASE + IMAGE_BYTES. */
export const FREE = 0x21_0000;

const CODE = 0x08, DATA = 0x10, USER_CODE = 0x1b, USER_DATA = 0x23, TASK = 0x28;
const FLAGS_RESERVED = 1 << 1, IOPL_3 = 3 << 12;
const GP = 13;
const DOMID_SELF = 0x7ff0;
const XEN_SIGNATURE = [0x566e_6558, 0x6558_4d4d, 0x4d4d_566e] as const; // "XenVMMXenVMM"

/** How a hypercall leaves the guest. */
export type Way = "page" | "port" | "vmcall" | "vmmcall";
/** An argument: a number or label, or what memory holds. */
export type Argument = Value | { readonly at: Memory };

/** See the module's description. */
export class GuestProgram extends Assembler {
  /** The program starts with `start`; `body` follows, then data. */
  constructor(readonly mode: 32 | 64) {
    super(IMAGE_BASE);
    this.#start();
  }

  /** The ELF file. */
  image(): Uint8Array<ArrayBuffer> {
    return pvhImage(this.assemble(), { bits: this.mode, base: IMAGE_BASE, memoryBytes: IMAGE_BYTES });
  }

  /** A named 32-bit variable, or more of them; emitted where it stands, so not in the way of code. */
  variable(name: string, words = 1): void {
    this.align(4);
    this.label(name);
    this.zeros(words * 4);
  }

  // Start

  #start(): void {
    this.jmp("start");
    this.#data();
    this.label("start");
    this.mov(ESP, STACK_TOP);
    if (this.mode === 64) this.#enterLongMode();
    this.lgdt("gdtr");
    if (this.mode === 32) this.jmpFar(CODE, "flat");
    this.label("flat");
    this.mov(EAX, DATA);
    for (const segment of [0, 2, 3, 4, 5]) this.movSegmentAx(segment);
    this.mov(ESP, STACK_TOP);
    // A task state segment holds the stack for privilege 0; its I/O bitmap lies beyond its limit: no ports.
    if (this.mode === 64) this.storeValue(TSS + 4, STACK_TOP);
    else {
      this.storeValue(TSS + 4, STACK_TOP);
      this.storeValue(TSS + 8, DATA);
    }
    this.storeValue(TSS + 100, 104 << 16);
    this.mov(EAX, TASK);
    this.ltrAx();
    this.mov(EAX, "on_gp");
    this.movRegister(EDX, EAX);
    this.aluValue("and", EAX, 0xffff);
    this.aluValue("or", EAX, CODE << 16);
    this.aluValue("and", EDX, 0xffff_0000);
    this.aluValue("or", EDX, 0x8e00);
    const gate = IDT + GP * (this.mode === 64 ? 16 : 8);
    this.store(gate, EAX);
    this.store(gate + 4, EDX);
    this.lidt("idtr");
    this.jmp("main");
    this.#onGp();
  }

  #data(): void {
    const descriptor = (high: number, low = 0xffff) => this.dd(low, high);
    const wide = this.mode === 64;
    this.align(8);
    this.label("gdt");
    this.dd(0, 0);
    descriptor(wide ? 0x00af_9b00 : 0x00cf_9b00);
    descriptor(0x00cf_9300);
    descriptor(wide ? 0x00af_fb00 : 0x00cf_fb00);
    descriptor(0x00cf_f300);
    descriptor((TSS & 0xff00_0000) | 0x8900 | ((TSS >>> 16) & 0xff), ((TSS & 0xffff) << 16) | 103);
    this.dd(0, 0);
    this.align(4);
    this.db(0, 0);
    this.label("gdtr");
    this.db(0x37, 0);
    this.dd("gdt", 0);
    this.align(4);
    this.db(0, 0);
    this.label("idtr");
    this.db(0xff, this.mode === 64 ? 0x0f : 0x07); // 256 gates
    this.dd(IDT, 0);
    for (
      const name of ["gp_count", "gp_error", "gp_from_user", "gp_resume", "hypercall_pages", "hypercall_msr"]
    ) {
      this.variable(name);
    }
    for (const name of ["console_page", "console_port", "shutdown_reason", "unexpected"]) this.variable(name);
    this.variable("hvm_param", xen_hvm_param.size / 4);
    this.variable("send_port");
    this.variable("user_result", 2);
  }

  #enterLongMode(): void {
    this.storeValue(PML4, PDPT | 7);
    for (let i = 0; i < 4; i++) this.storeValue(PDPT + i * 8, DIRECTORIES + i * 4096 + 7);
    const entry = this.unique("entry");
    this.mov(EAX, 0x87); // 2 MiB, user
    this.mov(ECX, DIRECTORIES);
    this.label(entry);
    this.store({ base: ECX, disp: 0 }, EAX);
    this.aluValue("add", EAX, 0x20_0000);
    this.aluValue("add", ECX, 8);
    this.aluValue("cmp", ECX, DIRECTORIES_END);
    this.j("ne", entry);
    enterLongMode(this, { pml4: PML4, gdtr: "gdtr", code: CODE });
  }

  /** Counts, keeps the error code and where it came from, and goes on at gp_resume with a fresh stack. */
  #onGp(): void {
    this.label("on_gp");
    this.pop(EAX);
    this.store("gp_error", EAX);
    this.aluMemory("add", "gp_count", 1);
    this.pop(EAX); // (E|R)IP
    this.pop(EAX); // CS
    this.aluValue("and", EAX, 3);
    this.store("gp_from_user", EAX);
    this.mov(EAX, DATA);
    for (const segment of [0, 2, 3]) this.movSegmentAx(segment);
    this.mov(ESP, STACK_TOP);
    this.load(EAX, "gp_resume");
    this.db(0xff, 0xe0); // jmp eax
  }

  /** Every exception and interrupt goes on at `label`, with a fresh stack. */
  catchAll(label: string): void {
    const handler = this.unique("on_any"), after = this.unique("gates"), gate = this.unique("gate");
    const bytes = this.mode === 64 ? 16 : 8;
    this.mov(EAX, handler);
    this.movRegister(EDX, EAX);
    this.aluValue("and", EAX, 0xffff);
    this.aluValue("or", EAX, CODE << 16);
    this.aluValue("and", EDX, 0xffff_0000);
    this.aluValue("or", EDX, 0x8e00);
    this.mov(ECX, 256 * bytes);
    this.label(gate);
    this.store({ base: ECX, disp: IDT - bytes }, EAX);
    this.store({ base: ECX, disp: IDT - bytes + 4 }, EDX);
    this.aluValue("sub", ECX, bytes);
    this.j("ne", gate);
    this.jmp(after);
    this.label(handler);
    this.mov(EAX, DATA);
    for (const segment of [0, 2, 3]) this.movSegmentAx(segment);
    this.mov(ESP, STACK_TOP);
    this.jmp(label);
    this.label(after);
  }

  /** Code that must fault with #GP; the program crashes when it does not. */
  mustGp(code: () => void): void {
    const after = this.unique("after_gp");
    this.storeValue("gp_resume", after);
    code();
    this.crash();
    this.label(after);
  }

  /** Runs `code` at privilege 3, with or without the right to use ports; it ends with a #GP. */
  asUser(ports: boolean, code: () => void): void {
    const after = this.unique("after_user"), user = this.unique("user");
    this.storeValue("gp_resume", after);
    const push = (value: Value) => {
      this.mov(EAX, value);
      this.push(EAX);
    };
    push(USER_DATA);
    push(USER_STACK_TOP);
    push(FLAGS_RESERVED | (ports ? IOPL_3 : 0));
    push(USER_CODE);
    push(user);
    this.iret();
    this.label(user);
    if (this.mode === 32) {
      this.mov(EAX, USER_DATA);
      for (const segment of [0, 3]) this.movSegmentAx(segment);
    }
    code();
    this.hlt();
    this.label(after);
  }

  // Xen

  /** Steps 1 to 4: finds the leaves, asks for pages and MSR, loads every page. Crashes when there is no Xen. */
  loadHypercallPages(): void {
    const next = this.unique("next_base"), found = this.unique("found"), page = this.unique("page");
    this.mov(ESI, 0x4000_0000);
    this.label(next);
    this.movRegister(EAX, ESI);
    this.cpuid();
    const other = this.unique("other");
    [EBX, ECX, EDX].forEach((reg, i) => {
      this.aluValue("cmp", reg, XEN_SIGNATURE[i] as number);
      this.j("ne", other);
    });
    this.jmp(found);
    this.label(other);
    this.aluValue("add", ESI, 0x100);
    this.aluValue("cmp", ESI, 0x4001_0000);
    this.j("b", next);
    this.ud2(); // no exception handler: a triple fault
    this.label(found);
    this.movRegister(EAX, ESI);
    this.aluValue("add", EAX, 2);
    this.cpuid();
    this.store("hypercall_pages", EAX);
    this.store("hypercall_msr", EBX);
    this.mov(ESI, 0);
    this.label(page);
    this.movRegister(EAX, ESI);
    this.shl(EAX, 12);
    this.aluValue("add", EAX, HYPERCALL_PAGES_AT);
    this.alu("or", EAX, ESI);
    this.mov(EDX, 0);
    this.load(ECX, "hypercall_msr");
    this.wrmsr();
    this.aluValue("add", ESI, 1);
    this.movRegister(EAX, ESI);
    this.load(ECX, "hypercall_pages");
    this.alu("cmp", EAX, ECX);
    this.j("b", page);
  }

  /** Loads the hypercall's arguments where its ABI wants them. */
  arguments(...args: readonly Argument[]): void {
    const registers: readonly Register[] = this.mode === 64 ? [EDI, ESI, EDX] : [EBX, ECX, EDX];
    args.forEach((argument, i) => {
      const reg = registers[i];
      if (reg === undefined) throw new Error("three arguments at most");
      if (typeof argument === "object") this.load(reg, argument.at);
      else this.mov(reg, argument);
    });
  }

  /** EAX = the hypercall's result. */
  hypercall(nr: number, args: readonly Argument[], way: Way = "page"): void {
    this.arguments(...args);
    this.mov(EAX, way === "page" ? HYPERCALL_PAGES_AT + nr * 32 : nr);
    if (way === "page") this.callRegister(EAX);
    else this.callXen(way);
  }
  /** The instruction that calls, with all its registers filled. */
  callXen(way: Exclude<Way, "page">): void {
    if (way === "port") this.db(0xe7, HYPERCALL_PORT); // out port, eax: what a page has in it
    else if (way === "vmcall") this.vmcall();
    else this.vmmcall();
  }

  /** Ends the guest unless EAX is `value`. */
  expect(value: number): void {
    const fine = this.unique("fine");
    this.aluValue("cmp", EAX, value);
    this.j("e", fine);
    this.store("unexpected", EAX); // for whoever looks
    this.crash();
    this.label(fine);
  }

  /** SHUTDOWN_crash. */
  crash(): void {
    this.#shutdown(SHUTDOWN_crash);
  }
  /** SHUTDOWN_poweroff. */
  powerOff(way: Way = "port"): void {
    this.#shutdown(SHUTDOWN_poweroff, way);
  }
  #shutdown(reason: number, way: Way = "port"): void {
    this.storeValue("shutdown_reason", reason);
    this.hypercall(__HYPERVISOR_sched_op, [SCHEDOP_shutdown, "shutdown_reason"], way);
    this.hlt();
  }

  /** Sends an event on the port in memory at `port`. */
  notify(port: Memory): void {
    this.load(EAX, port);
    this.store("send_port", EAX);
    this.hypercall(__HYPERVISOR_event_channel_op, [EVTCHNOP_send, "send_port"]);
    this.expect(0);
  }

  /** Finds the console's ring and port. */
  openConsole(): void {
    this.getParam(HVM_PARAM_CONSOLE_PFN);
    this.shl(EAX, 12);
    this.store("console_page", EAX);
    this.getParam(HVM_PARAM_CONSOLE_EVTCHN);
    this.store("console_port", EAX);
  }

  /** EAX = HVM parameter `index`. */
  getParam(index: number): void {
    const at = (offset: number): Memory => ({ base: ESI, disp: offset });
    this.mov(ESI, "hvm_param");
    this.storeValue(at(xen_hvm_param.at.domid), DOMID_SELF);
    this.storeValue(at(xen_hvm_param.at.index), index);
    this.hypercall(__HYPERVISOR_hvm_op, [HVMOP_get_param, "hvm_param"]);
    this.expect(0);
    this.mov(ESI, "hvm_param");
    this.load(EAX, at(xen_hvm_param.at.value));
  }

  /** Prints on the PV console: into the ring, then an event, which empties the ring. */
  print(text: string): void {
    const string = this.unique("string"), after = this.unique("after"), byte = this.unique("byte");
    const { at } = xencons_interface;
    this.jmp(after);
    this.label(string);
    this.text(text);
    this.label(after);
    this.mov(ESI, string);
    this.mov(ECX, text.length);
    this.load(EDX, "console_page");
    this.label(byte);
    this.load(EDI, { base: EDX, disp: at.out_prod });
    this.movRegister(EBX, EDI);
    this.aluValue("and", EBX, 2047);
    this.alu("add", EBX, EDX);
    this.load(EAX, { base: ESI }, 1);
    this.store({ base: EBX, disp: at.out }, EAX, 1);
    this.aluValue("add", EDI, 1);
    this.store({ base: EDX, disp: at.out_prod }, EDI);
    this.aluValue("add", ESI, 1);
    this.aluValue("sub", ECX, 1);
    this.j("ne", byte);
    this.notify("console_port");
  }
}
