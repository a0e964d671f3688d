// SPDX-License-Identifier: MIT
/**
 * Memory through the inline TLB check; what misses calls, and leaves with FAULT when that says so. The stack, and
 * operands that may be in memory.
 *
 * An instruction has changed nothing when it leaves with FAULT: descriptions put their last faulting access
 * before their first write, and loadForUpdate/peek/commit exist for those that cannot.
 * @module
 */
import { SPAN_READ, SPAN_WITHOUT_CODE } from "./links.ts";
import { EXC_GP, S, SS, TLB_BITS, tlbEntry } from "../state/state.ts";
import { type LoadName, type StoreName, Val } from "./builder.ts";
import type { Address, AlignmentCheck, Value, Width } from "./emit.ts";
import { forgetRegionPages } from "./region_pages.ts";
import { type Place, RegisterEmit } from "./register_emit.ts";

/** Size flag of the slow paths: a stack access (#SS instead of #GP). */
export const STACK_ACCESS = 0x100;
/** Size flags of the slow paths: no #AC, on whatever processor or on Intel's. */
const UNCHECKED = { checked: 0, unchecked: 0x200, "unchecked by Intel": 0x400 } as const;

/** See the module's description. */
export abstract class MemoryEmit extends RegisterEmit {
  /** Address of the current record. */
  protected abstract record(): Val;
  /** TypeScript was called: what is known of this block's records may be so no more. */
  protected recordsChanged(): void {}

  rm(w: Width): Value {
    return this.form.isMemory ? this.load(w, this.address()) : this.loadRegister(w, this.slot("rm"));
  }
  setRm(w: Width, value: Value): void {
    if (this.form.isMemory) this.store(w, this.address(), value);
    else this.storeRegister(w, this.slot("rm"), value);
  }
  updateRm(w: Width, f: (old: Value) => Value): void {
    if (!this.form.isMemory) {
      return this.storeRegister(w, this.slot("rm"), f(this.loadRegister(w, this.slot("rm"))));
    }
    const access = this.loadForUpdate(w, this.address());
    // The store cannot fault, but flags set by f must not be lost to it either: it comes right after.
    access.store(f(access.value));
  }

  /** Linear address for an access of `bytes`, with the segment checks where they are not trivially true. */
  #checkedLinear(address: Address, bytes: number, write: boolean): Val {
    const place = address as Place;
    if (place.how !== "checked") return this.linear(address) as Val;
    this.facts.canLeave = true;
    const linear = this.variable(this.withBase(place));
    this.body.hint(0);
    this.if(this.eqz(32, this.isWithinData(place, bytes)), () => {
      this.setState64(S.memAddr, place.offset);
      const mode = this.i32(bytes | (write ? 0x100 : 0));
      this.orFault(this.call(this.links.segmented, [this.record(), place.segment, mode], "i32") as Val);
      this.recordsChanged();
      this.set(linear, this.state64(S.memAddr));
    });
    return this.get(linear) as Val;
  }

  // Memory

  setTlbBase(base: Value): void {
    this.setState32(S.tlbBase, base);
    forgetRegionPages(this);
  }
  /** Leaves with FAULT when `status` is not NEXT. */
  protected orFault(status: Val): void {
    this.body.hint(0);
    this.if(status, () => {
      this.storePending();
      this.return(status);
    });
  }
  protected raise(vector: number, errorCode: number): void {
    this.facts.canLeave = true;
    this.storePending();
    const args = [this.record(), this.i32(vector), this.i32(errorCode)];
    this.return(this.call(this.links.raise, args, "i32") as Val);
  }
  faultIf(condition: Value, vector: number, errorCode = -1): void {
    this.body.hint(0);
    this.if(condition, () => this.raise(vector, errorCode));
  }
  /** Address of the TLB entry for `linear`. */
  #tlbEntry(linear: Val): Val {
    const shift = 12 - Math.log2(tlbEntry.size);
    const index = this.op("i32.shr_u", this.op("i32.wrap_i64", linear), this.i32(shift));
    const masked = this.and(32, index, this.i32(((1 << TLB_BITS) - 1) * tlbEntry.size));
    return this.add(32, masked, this.loadRaw("i32.load", this.i32(S.tlbBase)));
  }
  /** 1 when the entry's tag allows an access of `bytes` at `linear` without leaving the page. */
  #hit(linear: Val, entry: Val, bytes: number, tag: number): Val {
    const last = bytes === 1 ? linear : this.add(64, linear, this.i64(bytes - 1));
    return this.op("i64.eq", this.and(64, last, this.i64(-4096n)), this.loadRaw("i64.load", entry, tag));
  }
  #ifHit(hit: Val, then: () => void, otherwise: () => void): void {
    this.body.hint(1);
    this.if(hit, then, otherwise);
  }
  #host(linear: Val, entry: Val): Val {
    return this.add(32, this.op("i32.wrap_i64", linear), this.loadRaw("i32.load", entry, tlbEntry.at.addend));
  }
  #slow(index: number, linear: Val, bytes: number, access: number): void {
    this.setState64(S.memAddr, linear);
    this.orFault(this.call(index, [this.record(), this.i32(bytes | access)], "i32") as Val);
    this.recordsChanged();
  }
  /** Size flags of an access. */
  #access(address: Address, alignment: AlignmentCheck = "checked"): number {
    const isStack = (address as Place).segment.constant === S.ss;
    return (isStack ? STACK_ACCESS : 0) | UNCHECKED[alignment];
  }
  #loadMemory(address: Address, bytes: number, name: LoadName, alignment?: AlignmentCheck): Val {
    this.facts.canLeave = true;
    const linear = this.#checkedLinear(address, bytes, false);
    const entry = this.#tlbEntry(linear);
    const result = this.body.local(name === "v128.load" ? "v128" : name.startsWith("i64") ? "i64" : "i32");
    const put = (v: Val) => {
      this.body.push(v);
      this.body.set(result);
    };
    const type = name === "v128.load" ? "v128" : name.startsWith("i64") ? "i64" : "i32";
    this.#ifHit(this.#hit(linear, entry, bytes, tlbEntry.at.readTag), () => {
      put(this.loadRaw(name, this.#host(linear, entry)));
    }, () => {
      this.#slow(this.links.slowLoad, linear, bytes, this.#access(address, alignment));
      put(this.loadRaw(name, this.i32(S.memData)));
    });
    return Val.of(type, result);
  }
  #storeMemory(
    address: Address,
    bytes: number,
    name: StoreName,
    value: Value,
    alignment?: AlignmentCheck,
  ): void {
    this.facts.canLeave = true;
    this.facts.stores = true;
    const linear = this.#checkedLinear(address, bytes, true);
    const entry = this.#tlbEntry(linear);
    this.#ifHit(this.#hit(linear, entry, bytes, tlbEntry.at.writeTag), () => {
      this.storeRaw(name, this.#host(linear, entry), value);
    }, () => {
      this.storeRaw(name, this.i32(S.memData), value);
      this.#slow(this.links.slowStore, linear, bytes, this.#access(address, alignment));
    });
  }
  static readonly #LOAD: { readonly [W in Width]: LoadName } = {
    8: "i32.load8_u",
    16: "i32.load16_u",
    32: "i32.load",
    64: "i64.load",
  };
  static readonly #STORE: { readonly [W in Width]: StoreName } = {
    8: "i32.store8",
    16: "i32.store16",
    32: "i32.store",
    64: "i64.store",
  };
  load(w: Width, address: Address, alignment?: AlignmentCheck): Value {
    return this.#loadMemory(address, w / 8, MemoryEmit.#LOAD[w], alignment);
  }
  store(w: Width, address: Address, value: Value, alignment?: AlignmentCheck): void {
    this.#storeMemory(address, w / 8, MemoryEmit.#STORE[w], value, alignment);
  }
  loadForUpdate(
    w: Width,
    address: Address,
    alignment?: AlignmentCheck,
  ): { readonly value: Value; store(value: Value): void } {
    this.facts.canLeave = true;
    this.facts.stores = true;
    const bytes = w / 8;
    const linear = this.#checkedLinear(address, bytes, true);
    const entry = this.#tlbEntry(linear);
    const hit = this.#hit(linear, entry, bytes, tlbEntry.at.writeTag);
    // `at` is where the bytes are: guest memory, or the state block's buffer on the slow path.
    const at = this.variable(this.i32(S.memData));
    this.#ifHit(hit, () => this.set(at, this.#host(linear, entry)), () => {
      this.#slow(this.links.slowUpdate, linear, bytes, this.#access(address, alignment));
    });
    const place = this.get(at);
    const value = this.loadRaw(MemoryEmit.#LOAD[w], place);
    const store = (v: Value) => {
      this.storeRaw(MemoryEmit.#STORE[w], place, v);
      this.body.hint(0);
      this.if(
        this.eqz(32, hit),
        () => this.#slow(this.links.slowStore, linear, bytes, this.#access(address, alignment)),
      );
    };
    return { value, store };
  }
  #requireAligned(address: Address, bytes: 16 | 32): void {
    const linear = this.linear(address);
    this.faultIf(this.op("i32.wrap_i64", this.and(64, linear, this.i64(bytes - 1))), EXC_GP, 0);
  }
  load128(address: Address, aligned = false): Value {
    if (aligned) this.#requireAligned(address, 16);
    return this.#loadMemory(address, 16, "v128.load");
  }
  store128(address: Address, value: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 16);
    this.#storeMemory(address, 16, "v128.store", value);
  }
  load256(address: Address, aligned = false): readonly [Value, Value] {
    if (aligned) this.#requireAligned(address, 32);
    this.facts.canLeave = true;
    const linear = this.#checkedLinear(address, 32, false);
    const entry = this.#tlbEntry(linear);
    const at = this.variable(this.i32(S.memData));
    this.#ifHit(
      this.#hit(linear, entry, 32, tlbEntry.at.readTag),
      () => this.set(at, this.#host(linear, entry)),
      () => this.#slow(this.links.slowLoad, linear, 32, this.#access(address)),
    );
    const place = this.get(at);
    return [this.loadRaw("v128.load", place), this.loadRaw("v128.load", place, 16)];
  }
  store256(address: Address, low: Value, high: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 32);
    this.facts.canLeave = true;
    this.facts.stores = true;
    const linear = this.#checkedLinear(address, 32, true);
    const entry = this.#tlbEntry(linear);
    const put = (at: Val) => {
      this.storeRaw("v128.store", at, low);
      this.storeRaw("v128.store", at, high, 16);
    };
    this.#ifHit(
      this.#hit(linear, entry, 32, tlbEntry.at.writeTag),
      () => put(this.#host(linear, entry)),
      () => {
        put(this.i32(S.memData));
        this.#slow(this.links.slowStore, linear, 32, this.#access(address));
      },
    );
  }
  hostSpan(address: Address, write: boolean, bytes?: Value): Value | undefined {
    if ((address as Place).how === "checked") return undefined;
    if (write) this.facts.stores = true;
    const linear = this.linear(address) as Val;
    const entry = this.#tlbEntry(linear);
    const hit = this.#hit(linear, entry, 1, write ? tlbEntry.at.writeTag : tlbEntry.at.readTag);
    const at = this.variable(this.#host(linear, entry));
    this.if(this.eqz(32, hit), () => {
      this.setState64(S.memAddr, linear);
      const written = bytes ?? this.i32(write ? SPAN_WITHOUT_CODE : SPAN_READ);
      this.set(at, this.call(this.links.span, [written], "i32") as Val);
      if (bytes !== undefined) this.recordsChanged();
    });
    return this.get(at);
  }
  hostLoad(w: Width, at: Value): Value {
    return this.loadRaw(MemoryEmit.#LOAD[w], at);
  }
  hostLoad128(at: Value): Value {
    return this.loadRaw("v128.load", at);
  }
  hostStore(w: Width, at: Value, value: Value): void {
    this.storeRaw(MemoryEmit.#STORE[w], at, value);
  }
  hostCopy(to: Value, from: Value, bytes: Value): void {
    this.copyRaw(to, from, bytes);
  }
  hostFill(to: Value, byte: Value, bytes: Value): void {
    this.fillRaw(to, byte, bytes);
  }

  // Stack

  /** `rsp` moved by `bytes`, within the stack's width. */
  #movedStack(rsp: Val, bytes: number): Val {
    return this.wrap(this.form.stackBits, this.add(64, rsp, this.i64(bytes)));
  }
  #setStack(rsp: Val, moved: Val): void {
    if (this.form.stackBits !== 16) return this.setGpr(4, 64, moved);
    const high = this.and(64, rsp, this.i64(~0xffffn));
    this.setGpr(4, 64, this.or(64, high, moved));
  }
  push(w: Width, value: Value): void {
    const rsp = this.gpr(4, 64) as Val;
    const moved = this.#movedStack(rsp, -w / 8);
    this.store(w, this.segmentAddress(SS, moved), value);
    this.#setStack(rsp, moved);
  }
  peek(w: Width): { readonly value: Value; drop(): void } {
    const rsp = this.gpr(4, 64) as Val;
    const value = this.load(w, this.segmentAddress(SS, this.wrap(this.form.stackBits, rsp)));
    return { value, drop: () => this.#setStack(rsp, this.#movedStack(rsp, w / 8)) };
  }
  pop(w: Width): Value {
    const top = this.peek(w);
    top.drop();
    return top.value;
  }
}
