// SPDX-License-Identifier: MIT
/**
 * The x87 unit: the execution of D8..DF on a state record (x87_state.ts) in somebody's memory. What each encoding
 * does is said in instructions.ts. Rules: SDM Vol. 1 ch. 8.
 *
 * An unmasked exception sets ES; the next waiting instruction answers {@linkcode X87_MF} and does nothing. Not here:
 * CR0.EM and CR0.TS (#NM comes before), CR0.NE (what #MF turns into), memory accesses and their faults.
 * @module
 */
import { C1 } from "./float80.ts";
import { formOf } from "./instructions.ts";
import { X87Stack } from "./x87_stack.ts";
import { FSW_ES, withSummary, X87_STATE } from "./x87_state.ts";

const AT = X87_STATE.at;

/** Done. */
export const X87_OK = 0;
/** Nothing done: an earlier unmasked exception is reported now (#MF, or FERR# when CR0.NE is clear). */
export const X87_MF = 1;
/** Nothing done: no such instruction. */
export const X87_UD = 2;

/** One x87. */
export class X87 extends X87Stack {
  readonly #undo = new Uint32Array(8);

  /** True when the next waiting x87 or MMX instruction must raise #MF. */
  get pending(): boolean {
    return (this.view.getUint16(this.base + AT.fsw, true) & FSW_ES) !== 0;
  }

  /** Runs one instruction: `opcode` 0xd8..0xdf with its `modrm`. Only register or memory form matters of mod. */
  execute(opcode: number, modrm: number): number {
    const { view, base, env } = this;
    const form = formOf(opcode, modrm);
    this.storeBytes = 0;
    if (form.run === undefined) return X87_UD;
    const fsw = view.getUint16(base + AT.fsw, true);
    if (form.waits && (fsw & FSW_ES) !== 0) return X87_MF;
    if (form.kind === "store") {
      this.storeBytes = form.bytes(this.envFormat.short);
      for (let n = 0; n < 8; n++) this.#undo[n] = view.getUint32(base + 4 * n, true);
    }
    if (form.control) {
      form.run(this, modrm & 7);
      return X87_OK;
    }
    view.setUint16(base + AT.fop, ((opcode & 7) << 8) | modrm, true);
    view.setUint32(base + AT.fip, this.ipLow, true);
    view.setUint32(base + AT.fip + 4, this.ipHigh, true);
    view.setUint16(base + AT.fcs, this.cs, true);
    if (modrm < 0xc0) {
      view.setUint32(base + AT.fdp, this.dpLow, true);
      view.setUint32(base + AT.fdp + 4, this.dpHigh, true);
      view.setUint16(base + AT.fds, this.ds, true);
    }
    env.cw = view.getUint16(base + AT.fcw, true);
    env.sw = 0;
    this.fsw = form.keepsC1 ? fsw : fsw & ~C1;
    form.run(this, modrm & 7);
    view.setUint16(base + AT.fsw, withSummary(this.fsw | env.sw, env.cw), true);
    return X87_OK;
  }

  /** Undoes the last store instruction, whose memory turned out not to be writable: it will be restarted. */
  cancelStore(): void {
    for (let n = 0; n < 8; n++) this.view.setUint32(this.base + 4 * n, this.#undo[n] as number, true);
  }
}
