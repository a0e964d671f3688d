// SPDX-License-Identifier: MIT
/**
 * xenstore for guests of our own: requests over the ring, one at a time, waiting by polling. Rules: Xen
 * public/io/xs_wire.h. Left out: transactions, watches, replies longer than a page.
 * @module
 */
import { HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN } from "../../xen/public/hvm/params.ts";
import {
  xenstore_domain_interface,
  XENSTORE_RING_SIZE,
  XS_READ,
  XS_WRITE,
  xsd_sockmsg,
} from "../../xen/public/io/xs_wire.ts";
import { EAX, EBX, ECX, EDI, EDX, ESI } from "./_assembler.ts";
import type { GuestProgram } from "./_guest_program.ts";

const RING_MASK = XENSTORE_RING_SIZE - 1;

/** Emits its routines; buffers of a page each lie at `buffers` and after it. */
export class XenstoreClient {
  readonly #out: number;
  /** Payload of the last reply. */
  readonly reply: number;

  constructor(readonly g: GuestProgram, buffers: number) {
    this.#out = buffers;
    this.reply = buffers + 0x1000 + xsd_sockmsg.size;
  }

  /** Finds ring and port. */
  open(): void {
    const { g } = this;
    g.getParam(HVM_PARAM_STORE_PFN);
    g.shl(EAX, 12);
    g.store("xs_page", EAX);
    g.getParam(HVM_PARAM_STORE_EVTCHN);
    g.store("xs_port", EAX);
  }

  /** Starts a payload. */
  begin(): void {
    this.g.storeValue("xs_at", this.#out + xsd_sockmsg.size);
  }
  /** Appends text. */
  text(text: string): void {
    const { g } = this;
    const string = g.unique("string"), after = g.unique("after");
    g.jmp(after);
    g.label(string);
    g.text(text);
    g.label(after);
    g.mov(ESI, string);
    g.mov(ECX, text.length);
    g.call("xs_append");
  }
  /** Appends [ESI], ECX bytes. */
  append(): void {
    this.g.call("xs_append");
  }
  /** Appends EAX in decimal. */
  decimal(): void {
    this.g.call("xs_decimal");
  }
  /** Sends the payload; crashes the guest unless the reply is of the same type. ECX: its length. */
  request(type: number): void {
    this.g.mov(EAX, type);
    this.g.call("xs_request");
  }
  /** Reads a path that is known now. */
  read(path: string): void {
    this.begin();
    this.text(path + "\0");
    this.request(XS_READ);
  }
  /** Writes a node: text, or EAX in decimal. */
  write(path: string, value: string | undefined): void {
    const { g } = this;
    if (value === undefined) g.store("xs_number", EAX);
    this.begin();
    this.text(path + "\0");
    if (value === undefined) {
      g.load(EAX, "xs_number");
      this.decimal();
    } else this.text(value);
    this.request(XS_WRITE);
  }

  /** The routines and their variables; once, where no code runs into them. */
  routines(): void {
    const { g } = this;
    const { at } = xenstore_domain_interface;
    for (const name of ["xs_page", "xs_port", "xs_at", "xs_type", "xs_number", "xs_left", "xs_to"]) {
      g.variable(name);
    }

    g.label("xs_append");
    g.load(EDI, "xs_at");
    g.repMovsb();
    g.store("xs_at", EDI);
    g.ret();

    g.label("xs_decimal");
    g.mov(EBX, 10);
    g.mov(ECX, 0);
    g.label("xs_digit");
    g.mov(EDX, 0);
    g.div(EBX);
    g.push(EDX);
    g.aluValue("add", ECX, 1);
    g.aluValue("cmp", EAX, 0);
    g.j("ne", "xs_digit");
    g.load(EDI, "xs_at");
    g.label("xs_put");
    g.pop(EAX);
    g.aluValue("add", EAX, 0x30);
    g.store({ base: EDI }, EAX, 1);
    g.aluValue("add", EDI, 1);
    g.aluValue("sub", ECX, 1);
    g.j("ne", "xs_put");
    g.store("xs_at", EDI);
    g.ret();

    g.label("xs_request");
    g.store("xs_type", EAX);
    g.store(this.#out + xsd_sockmsg.at.type, EAX);
    g.storeValue(this.#out + xsd_sockmsg.at.req_id, 7);
    g.storeValue(this.#out + xsd_sockmsg.at.tx_id, 0);
    g.load(ECX, "xs_at");
    g.aluValue("sub", ECX, this.#out + xsd_sockmsg.size);
    g.store(this.#out + xsd_sockmsg.at.len, ECX);
    g.aluValue("add", ECX, xsd_sockmsg.size);
    g.mov(ESI, this.#out);
    g.load(EDX, "xs_page");
    g.label("xs_send");
    g.load(EDI, { base: EDX, disp: at.req_prod });
    g.movRegister(EBX, EDI);
    g.aluValue("and", EBX, RING_MASK);
    g.alu("add", EBX, EDX);
    g.load(EAX, { base: ESI }, 1);
    g.store({ base: EBX, disp: at.req }, EAX, 1);
    g.aluValue("add", EDI, 1);
    g.store({ base: EDX, disp: at.req_prod }, EDI);
    g.aluValue("add", ESI, 1);
    g.aluValue("sub", ECX, 1);
    g.j("ne", "xs_send");
    g.notify("xs_port");
    // The header of the reply, then as much as it says
    const replyAt = this.reply - xsd_sockmsg.size;
    g.storeValue("xs_to", replyAt);
    g.storeValue("xs_left", xsd_sockmsg.size);
    g.call("xs_receive");
    g.load(EAX, replyAt + xsd_sockmsg.at.type);
    g.load(ECX, "xs_type");
    g.alu("sub", EAX, ECX);
    g.expect(0);
    g.load(EAX, replyAt + xsd_sockmsg.at.req_id);
    g.expect(7);
    g.load(ECX, replyAt + xsd_sockmsg.at.len);
    g.store("xs_left", ECX);
    g.aluValue("cmp", ECX, 0);
    g.j("e", "xs_done");
    g.call("xs_receive");
    g.label("xs_done");
    g.notify("xs_port");
    g.load(ECX, replyAt + xsd_sockmsg.at.len);
    g.ret();

    // xs_left bytes to xs_to and on
    g.label("xs_receive");
    g.load(EDX, "xs_page");
    g.label("xs_wait");
    g.pause();
    g.load(EDI, { base: EDX, disp: at.rsp_cons });
    g.load(EAX, { base: EDX, disp: at.rsp_prod });
    g.alu("cmp", EAX, EDI);
    g.j("e", "xs_wait");
    g.movRegister(EBX, EDI);
    g.aluValue("and", EBX, RING_MASK);
    g.alu("add", EBX, EDX);
    g.load(EAX, { base: EBX, disp: at.rsp }, 1);
    g.load(ESI, "xs_to");
    g.store({ base: ESI }, EAX, 1);
    g.aluMemory("add", "xs_to", 1);
    g.aluValue("add", EDI, 1);
    g.store({ base: EDX, disp: at.rsp_cons }, EDI);
    g.aluMemory("sub", "xs_left", 1);
    g.j("ne", "xs_wait");
    g.ret();
  }
}
