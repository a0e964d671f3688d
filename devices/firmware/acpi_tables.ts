// SPDX-License-Identifier: MIT
/**
 * ACPI tables of the PC: RSDP, RSDT, XSDT, FADT, FACS, DSDT, MADT. Rules: ACPI 6.4 chapter 5; the FADT is
 * revision 4 (ACPI 4.0), which everybody reads. Addresses and interrupt numbers come from the caller.
 *
 * PCI interrupts: with the I/O APIC (\_PIC called with 1) PIRQA..D are GSI `pirqGsi`; with the PICs they are the
 * ISA interrupts that firmware programmed into the router.
 * Not done: HPET, general purpose events, processor objects, sleeping states other than S5.
 * @module
 */
import type { Gpa } from "../../cpu/base/bits.ts";
import { layout } from "../../cpu/base/layout.ts";
import * as aml from "./aml.ts";
import { pirqOf } from "../pci/piix3.ts";
import { ACPI_DISABLE, ACPI_ENABLE, PM1_CNT, PM1_STS, PM_TMR, SLP_TYP_S5 } from "../pci/piix4_pm.ts";

/** What the tables say; the machine knows it. */
export interface AcpiOptions {
  /** Where the tables will be placed: 64-byte aligned, below 4 GiB. */
  readonly base: Gpa;
  readonly cpus: number;
  readonly localApic: Gpa;
  readonly ioApic: { readonly id: number; readonly address: Gpa; readonly gsiBase: number };
  /** GSI of the PIT (ISA interrupt 0), 2 on a PC. */
  readonly timerGsi: number;
  /** ISA interrupt and GSI of the SCI. */
  readonly sci: number;
  /** Where PIIX4's PM block is decoded, and its SMI command port. */
  readonly pmBase: number;
  readonly smiCommandPort: number;
  readonly resetPort: number;
  /** GSIs of PIRQA..D, and the ISA interrupts they are routed to for the PICs. */
  readonly pirqGsi: readonly [number, number, number, number];
  readonly pirqIsa: readonly [number, number, number, number];
  /** PCI memory window, end exclusive. */
  readonly pciMemory: { readonly start: Gpa; readonly end: Gpa };
  readonly com1?: { readonly port: number; readonly irq: number } | undefined;
  /** True when there is a keyboard controller to be probed at ports 0x60 and 0x64. */
  readonly i8042: boolean;
  /**
   * True when there is a clock at ports 0x70 and 0x71. Xen's PVH platform has neither it nor VGA, and that is how Linux
   * knows the platform when it was not started at its PVH entry, but by GRUB.
   */
  readonly rtc: boolean;
  /** Port of the pvpanic device, if there is one. */
  readonly pvpanicPort?: number | undefined;
}

const HEADER = layout({
  signature: ["u8", 4],
  length: "u32",
  revision: "u8",
  checksum: "u8",
  oem_id: ["u8", 6],
  oem_table_id: ["u8", 8],
  oem_revision: "u32",
  creator_id: "u32",
  creator_revision: "u32",
});
export const HEADER_BYTES = HEADER.size;
const RSDP_BYTES = 36;
const RSDP_V1_BYTES = 20;
const FADT_BYTES = 244;
const FACS_BYTES = 64;

const FADT_WBINVD = 1 << 0;
const FADT_PROC_C1 = 1 << 2;
const FADT_SLP_BUTTON = 1 << 5; // no fixed sleep button
const FADT_FIX_RTC = 1 << 6; // RTC wake is not in the fixed registers
const FADT_RESET_REG_SUP = 1 << 10;
const RESET_VALUE = 0x06; // RC: SRST and RCPU
const LEGACY_DEVICES = 1 << 0; // IAPC_BOOT_ARCH
const BOOT_ARCH_8042 = 1 << 1;
const VGA_NOT_PRESENT = 1 << 2;
const CMOS_RTC_NOT_PRESENT = 1 << 5;
const PCAT_COMPAT = 1 << 0; // MADT: there are two 8259s
const MPS_INTI_LEVEL_HIGH = 0x000d; // active high, level triggered

function ascii(text: string, length: number): number[] {
  return [...text.padEnd(length)].map((c) => c.charCodeAt(0));
}

function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

/** A table with its header and checksum. */
function table(signature: string, revision: number, body: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(HEADER.size + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii(signature, 4), HEADER.at.signature);
  view.setUint32(HEADER.at.length, bytes.length, true);
  bytes[HEADER.at.revision] = revision;
  bytes.set(ascii("XENNER", 6), HEADER.at.oem_id);
  bytes.set(ascii("PC", 8), HEADER.at.oem_table_id);
  view.setUint32(HEADER.at.oem_revision, 1, true);
  bytes.set(ascii("XNNR", 4), HEADER.at.creator_id);
  view.setUint32(HEADER.at.creator_revision, 1, true);
  bytes.set(body, HEADER.size);
  bytes[HEADER.at.checksum] = checksum(bytes);
  return bytes;
}

function rsdp(rsdt: Gpa, xsdt: Gpa): Uint8Array {
  const bytes = new Uint8Array(RSDP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("RSD PTR ", 8));
  bytes.set(ascii("XENNER", 6), 9);
  bytes[15] = 2; // revision: ACPI 2.0 and later
  view.setUint32(16, rsdt, true);
  view.setUint32(20, RSDP_BYTES, true);
  view.setBigUint64(24, BigInt(xsdt), true);
  bytes[8] = checksum(bytes.subarray(0, RSDP_V1_BYTES));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** Offsets within the FADT are those of table 5.9. */
function fadt(o: AcpiOptions, facs: Gpa, dsdt: Gpa): Uint8Array {
  const body = new Uint8Array(FADT_BYTES - HEADER.size);
  const view = new DataView(body.buffer);
  const u8 = (at: number, value: number) => view.setUint8(at - HEADER.size, value);
  const u16 = (at: number, value: number) => view.setUint16(at - HEADER.size, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at - HEADER.size, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at - HEADER.size, BigInt(value), true);
  /** Generic address structure: system I/O. */
  const gas = (at: number, bits: number, accessSize: number, port: number) => {
    u8(at, 1);
    u8(at + 1, bits);
    u8(at + 3, accessSize);
    u64(at + 4, port);
  };
  u32(36, facs);
  u32(40, dsdt);
  u16(46, o.sci);
  u32(48, o.smiCommandPort);
  u8(52, ACPI_ENABLE);
  u8(53, ACPI_DISABLE);
  u32(56, o.pmBase + PM1_STS); // PM1a_EVT_BLK
  u32(64, o.pmBase + PM1_CNT); // PM1a_CNT_BLK
  u32(76, o.pmBase + PM_TMR); // PM_TMR_BLK
  u8(88, 4); // PM1_EVT_LEN
  u8(89, 2); // PM1_CNT_LEN
  u8(91, 4); // PM_TMR_LEN
  u16(96, 0xfff); // P_LVL2_LAT: no C2
  u16(98, 0xfff); // P_LVL3_LAT: no C3
  if (o.rtc) u8(108, 0x32); // CENTURY in CMOS RAM
  u16(
    109,
    LEGACY_DEVICES | VGA_NOT_PRESENT | (o.i8042 ? BOOT_ARCH_8042 : 0) | (o.rtc ? 0 : CMOS_RTC_NOT_PRESENT),
  );
  u32(112, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG_SUP);
  gas(116, 8, 1, o.resetPort);
  u8(128, RESET_VALUE);
  u64(140, dsdt); // X_DSDT; X_FIRMWARE_CTRL stays 0 because FIRMWARE_CTRL is used
  gas(148, 32, 2, o.pmBase + PM1_STS); // X_PM1a_EVT_BLK
  gas(172, 16, 2, o.pmBase + PM1_CNT); // X_PM1a_CNT_BLK
  gas(208, 32, 3, o.pmBase + PM_TMR); // X_PM_TMR_BLK
  return table("FACP", 4, body);
}

function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  bytes.set(ascii("FACS", 4));
  new DataView(bytes.buffer).setUint32(4, FACS_BYTES, true);
  bytes[32] = 2; // version
  return bytes;
}

function madt(o: AcpiOptions): Uint8Array {
  const le = (value: number, bytes: number) =>
    Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 0xff);
  const body: number[] = [...le(o.localApic, 4), ...le(PCAT_COMPAT, 4)];
  for (let cpu = 0; cpu < o.cpus; cpu++) body.push(0, 8, cpu, cpu, ...le(1, 4)); // local APIC, enabled
  body.push(1, 12, o.ioApic.id, 0, ...le(o.ioApic.address, 4), ...le(o.ioApic.gsiBase, 4));
  const override = (irq: number, gsi: number, flags: number) =>
    body.push(2, 10, 0, irq, ...le(gsi, 4), ...le(flags, 2));
  override(0, o.timerGsi, 0);
  override(o.sci, o.sci, MPS_INTI_LEVEL_HIGH);
  body.push(4, 6, 0xff, 0, 0, 1); // NMI on LINT1 of every local APIC
  return table("APIC", 3, body);
}

/** The routing of all slots' INTA#..INTD# to what `of` says for their PIRQ. */
function routing(of: readonly number[]): aml.Aml {
  const entries: aml.Aml[] = [];
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const interrupt = of[pirqOf(slot, pin + 1)] as number;
      entries.push(aml.pkg(aml.int(slot * 0x1_0000 + 0xffff), aml.int(pin), aml.int(0), aml.int(interrupt)));
    }
  }
  return aml.pkg(...entries);
}

function dsdt(o: AcpiOptions): Uint8Array {
  const isa: aml.Aml[] = [
    aml.name("_ADR", aml.int(0x0001_0000)), // the ISA bridge, slot 1
  ];
  if (o.rtc) {
    isa.push(aml.device(
      "RTC",
      aml.name("_HID", aml.eisaId("PNP0B00")),
      aml.name("_CRS", aml.resources(aml.io(0x70, 2), aml.irqNoFlags(8))),
    ));
  }
  if (o.com1 !== undefined) {
    isa.push(aml.device(
      "COM1",
      aml.name("_HID", aml.eisaId("PNP0501")),
      aml.name("_UID", aml.int(1)),
      aml.name("_STA", aml.int(0xf)),
      aml.name("_CRS", aml.resources(aml.io(o.com1.port, 8), aml.irqNoFlags(o.com1.irq))),
    ));
  }
  if (o.pvpanicPort !== undefined) {
    isa.push(aml.device(
      "PEVT",
      aml.name("_HID", aml.string("QEMU0001")),
      aml.name("_CRS", aml.resources(aml.io(o.pvpanicPort, 1))),
      aml.name("_STA", aml.int(0xf)),
    ));
  }
  const pci0 = aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A03")),
    aml.name("_UID", aml.int(0)),
    aml.name("_BBN", aml.int(0)),
    aml.name(
      "_CRS",
      aml.resources(
        aml.busNumbers(0x00, 0xff),
        aml.io(0xcf8, 8),
        aml.wordIo(0x0000, 0x0cf7),
        aml.wordIo(0x0d00, 0xffff),
        aml.dwordMemory(0xa_0000, 0xb_ffff, true),
        aml.dwordMemory(o.pciMemory.start, o.pciMemory.end - 1, false),
      ),
    ),
    aml.name("PRTP", routing(o.pirqIsa)),
    aml.name("PRTA", routing(o.pirqGsi)),
    aml.method("_PRT", 0, aml.iff(aml.path("\\PICM"), aml.ret(aml.path("PRTA"))), aml.ret(aml.path("PRTP"))),
    aml.device("ISA", ...isa),
  );
  return table("DSDT", 2, [
    ...aml.name("\\PICM", aml.int(0)),
    ...aml.method("\\_PIC", 1, aml.store(aml.arg0, aml.path("\\PICM"))),
    ...aml.name("\\_S5", aml.pkg(aml.int(SLP_TYP_S5), aml.int(SLP_TYP_S5), aml.int(0), aml.int(0))),
    ...aml.scope("\\_SB", pci0),
  ]);
}

/** Tables ready to be copied to `base`. */
export interface AcpiTables {
  readonly bytes: Uint8Array;
  /** Address of the RSDP; it is the first table. */
  readonly rsdp: Gpa;
  /** Address and bytes of each table, by signature, for tools. */
  readonly tables: ReadonlyMap<string, { readonly gpa: Gpa; readonly bytes: Uint8Array }>;
}

/** Builds all tables, which point at each other as placed at `options.base`. */
export function buildAcpiTables(options: AcpiOptions): AcpiTables {
  const tables = new Map<string, { gpa: Gpa; bytes: Uint8Array }>();
  let next = options.base + 64; // the RSDP comes first
  const place = (signature: string, bytes: Uint8Array) => {
    const gpa = next;
    tables.set(signature, { gpa, bytes });
    next = Math.ceil((gpa + bytes.length) / 64) * 64; // the FACS wants 64; it does not hurt the others
    return gpa;
  };
  const facsAt = place("FACS", facs());
  const dsdtAt = place("DSDT", dsdt(options));
  const entries = [place("FACP", fadt(options, facsAt, dsdtAt)), place("APIC", madt(options))];
  const pointers = (width: number) =>
    entries.flatMap((gpa) => Array.from({ length: width }, (_, i) => Math.floor(gpa / 256 ** i) & 0xff));
  const rsdtAt = place("RSDT", table("RSDT", 1, pointers(4)));
  const xsdtAt = place("XSDT", table("XSDT", 1, pointers(8)));
  tables.set("RSD PTR ", { gpa: options.base, bytes: rsdp(rsdtAt, xsdtAt) });
  const bytes = new Uint8Array(next - options.base);
  for (const { gpa, bytes: content } of tables.values()) bytes.set(content, gpa - options.base);
  return { bytes, rsdp: options.base, tables };
}
