// SPDX-License-Identifier: MIT
/**
 * The first program of a guest whose root is a folder of the host's: loads modules, mounts the folder by 9P, makes it the
 * root and goes on as the init in it. A static ELF file of 32 bits that calls Linux by INT 80H, so that one program
 * serves kernels of 32 and of 64 bits. Rules: System V ABI, Intel386 supplement; Linux arch/x86/entry/syscalls/syscall_32.tbl.
 * @module
 */

const SYS_exit = 1, SYS_write = 4, SYS_open = 5, SYS_unlink = 10, SYS_execve = 11, SYS_chdir = 12;
const SYS_mount = 21, SYS_chroot = 61, SYS_nanosleep = 162, SYS_finit_module = 350;
const MS_RDONLY = 1, MS_MOVE = 8192;

const BASE = 0x0804_8000;
const EHDR_BYTES = 52, PHDR_BYTES = 32;
const HEADERS = EHDR_BYTES + PHDR_BYTES;
/** The backend answers within some ms; so often it is asked. */
const TRIES = 500;
const WAIT_NS = 0x7f_7f7f; // 8 ms; no byte above 7FH

/** What the program does. */
export interface RootMount {
  /** Files of modules in the initramfs, in the order of their loading. */
  readonly modules: readonly string[];
  /** What the folder is mounted by. */
  readonly tag: string;
  /** Options of the mount. */
  readonly options: string;
  readonly readonly: boolean;
  /** The first of these that can be executed is. */
  readonly inits: readonly string[];
}

/** Machine code and the strings it points to. */
class Program {
  readonly #code: number[] = [];
  readonly #strings = new Map<string, number[]>();

  get at(): number {
    return this.#code.length;
  }

  emit(...bytes: number[]): void {
    this.#code.push(...bytes);
  }

  /** An address of `text`, which is filled in at the end. */
  #pointer(text: string): void {
    const places = this.#strings.get(text) ?? [];
    this.#strings.set(text, places);
    places.push(this.at);
    this.#word(0);
  }

  #word(value: number): void {
    for (let i = 0; i < 32; i += 8) this.#code.push((value >>> i) & 0xff);
  }

  /** INT 80H with constants; "eax": what the call before gave. The result is in EAX. */
  call(number: number, ...args: (number | string | "eax")[]): void {
    const MOV = [0xbb, 0xb9, 0xba, 0xbe, 0xbf]; // MOV r32, imm32: EBX, ECX, EDX, ESI, EDI
    args.forEach((arg, i) => {
      if (arg === "eax") return this.emit(0x89, 0xc3); // MOV EBX, EAX
      this.emit(MOV[i] as number);
      if (typeof arg === "string") this.#pointer(arg);
      else this.#word(arg);
    });
    this.emit(0xb8);
    this.#word(number);
    this.emit(0xcd, 0x80);
  }

  /** Jcc rel32; returns what `land` wants. */
  jump(condition: number): number {
    this.emit(0x0f, condition);
    this.#word(0);
    return this.at;
  }

  /** The jump leads here, or to `target`. */
  land(jump: number, target = this.at): void {
    const distance = target - jump;
    for (let i = 0; i < 4; i++) this.#code[jump - 4 + i] = (distance >> (8 * i)) & 0xff;
  }

  /** The ELF file. */
  elf(): Uint8Array<ArrayBuffer> {
    const encoder = new TextEncoder();
    const data: number[] = [];
    for (const [text, places] of this.#strings) {
      const address = BASE + HEADERS + this.#code.length + data.length;
      for (const place of places) {
        for (let i = 0; i < 4; i++) this.#code[place + i] = (address >>> (8 * i)) & 0xff;
      }
      data.push(...encoder.encode(text), 0);
    }
    const body = [...this.#code, ...data];
    const bytes = new Uint8Array(HEADERS + body.length);
    const view = new DataView(bytes.buffer);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // ELF, 32 bits, little endian, version
    const words = (at: number, ...values: number[]) =>
      values.forEach((v, i) => view.setUint32(at + 4 * i, v, true));
    view.setUint16(16, 2, true); // ET_EXEC
    view.setUint16(18, 3, true); // EM_386
    words(20, 1, BASE + HEADERS, EHDR_BYTES); // version, entry, program headers
    view.setUint16(40, EHDR_BYTES, true);
    view.setUint16(42, PHDR_BYTES, true);
    view.setUint16(44, 1, true);
    // PT_LOAD: offset, addresses, sizes, PF_R | PF_W | PF_X, alignment
    words(EHDR_BYTES, 1, 0, BASE, BASE, bytes.length, bytes.length, 7, 4096);
    bytes.set(body, HEADERS);
    return bytes;
  }
}

const JZ = 0x84, JNZ = 0x85, JS = 0x88;

/** See the module's description. */
export function initProgram({ modules, tag, options, readonly, inits }: RootMount): Uint8Array<ArrayBuffer> {
  const p = new Program();
  for (const module of modules) { // one that is there already, or is built in, does no harm
    p.call(SYS_open, module, 0, 0);
    p.call(SYS_finit_module, "eax", "", 0);
    p.call(SYS_unlink, module);
  }
  p.emit(0xbd, TRIES & 0xff, TRIES >> 8, 0, 0); // MOV EBP, TRIES
  const again = p.at;
  p.call(SYS_mount, tag, "/sysroot", "9p", readonly ? MS_RDONLY : 0, options);
  p.emit(0x85, 0xc0); // TEST EAX, EAX
  const mounted = p.jump(JZ);
  p.call(SYS_nanosleep, timespec(WAIT_NS), 0);
  p.emit(0x4d); // DEC EBP
  p.land(p.jump(JNZ), again);
  fail(p, `xenner: cannot mount the folder ${tag} by 9P: see the kernel's messages\n`);
  p.land(mounted);
  p.call(SYS_mount, "devtmpfs", "/sysroot/dev", "devtmpfs", 0, 0); // init may do it too
  p.call(SYS_chdir, "/sysroot");
  p.call(SYS_mount, ".", "/", 0, MS_MOVE, 0);
  p.emit(0x85, 0xc0);
  const failed = p.jump(JS);
  p.call(SYS_chroot, ".");
  p.call(SYS_chdir, "/");
  for (const init of inits) execute(p, init);
  fail(p, `xenner: cannot execute ${inits.join(" or ")} in the root folder\n`);
  p.land(failed);
  fail(p, "xenner: cannot make the folder the root\n");
  return p.elf();
}

/** struct timespec as the bytes of a string: each of them is below 80H, as UTF-8 wants it. */
function timespec(ns: number): string {
  return String.fromCharCode(0, 0, 0, 0, ns & 0xff, (ns >> 8) & 0xff, (ns >> 16) & 0xff, 0);
}

/** execve(2) with the arguments and the environment that the kernel gave. */
function execute(p: Program, path: string): void {
  // EBX is the path: the call below sets it; ECX and EDX point into the stack the kernel made
  p.emit(0x8d, 0x4c, 0x24, 0x04); // LEA ECX, [ESP+4]
  p.emit(0x8b, 0x04, 0x24); // MOV EAX, [ESP]
  p.emit(0x8d, 0x54, 0x84, 0x08); // LEA EDX, [ESP+EAX*4+8]
  p.call(SYS_execve, path);
}

/** Says why, and ends: the kernel panics, and the run is over. */
function fail(p: Program, why: string): void {
  p.call(SYS_write, 2, why, why.length);
  p.call(SYS_exit, 1);
}
