// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import { type AcpiOptions, buildAcpiTables } from "./acpi_tables.ts";
import * as aml from "./aml.ts";

const OPTIONS: AcpiOptions = {
  base: 0xe_0000,
  cpus: 1,
  localApic: 0xfee0_0000,
  ioApic: { id: 1, address: 0xfec0_0000, gsiBase: 0 },
  timerGsi: 2,
  sci: 9,
  pmBase: 0x600,
  smiCommandPort: 0xb2,
  resetPort: 0xcf9,
  pirqGsi: [16, 17, 18, 19],
  pirqIsa: [10, 11, 10, 11],
  pciMemory: { start: 0xc000_0000, end: 0xfec0_0000 },
  com1: { port: 0x3f8, irq: 4 },
  i8042: true,
  rtc: true,
};
const sum = (bytes: Uint8Array) => bytes.reduce((a, b) => (a + b) & 0xff, 0);

Deno.test("ACPI tables are found from the RSDP on, with good checksums, as an operating system walks them", () => {
  const { bytes, rsdp } = buildAcpiTables(OPTIONS);
  const view = new DataView(bytes.buffer);
  const at = (gpa: number) => gpa - OPTIONS.base;
  const text = (gpa: number, n: number) => new TextDecoder().decode(bytes.subarray(at(gpa), at(gpa) + n));
  const whole = (gpa: number) => bytes.subarray(at(gpa), at(gpa) + view.getUint32(at(gpa) + 4, true));
  assertEquals([rsdp % 16, text(rsdp, 8)], [0, "RSD PTR "]);
  assertEquals([sum(bytes.subarray(0, 20)), sum(bytes.subarray(0, 36))], [0, 0]);
  const xsdt = Number(view.getBigUint64(24, true));
  const rsdt = view.getUint32(16, true);
  assertEquals([text(xsdt, 4), text(rsdt, 4)], ["XSDT", "RSDT"]);
  const facp = Number(view.getBigUint64(at(xsdt) + 36, true));
  const apic = Number(view.getBigUint64(at(xsdt) + 44, true));
  assertEquals([view.getUint32(at(rsdt) + 36, true), view.getUint32(at(rsdt) + 40, true)], [facp, apic]);
  assertEquals([text(facp, 4), text(apic, 4)], ["FACP", "APIC"]);
  const dsdt = view.getUint32(at(facp) + 40, true);
  const facs = view.getUint32(at(facp) + 36, true);
  assertEquals([text(dsdt, 4), text(facs, 4), facs % 64], ["DSDT", "FACS", 0]);
  for (const gpa of [xsdt, rsdt, facp, apic, dsdt]) assertEquals(sum(whole(gpa)), 0, text(gpa, 4));
});

Deno.test("the MADT holds one local APIC, the I/O APIC and the overrides of a PC", () => {
  const madt = buildAcpiTables(OPTIONS).tables.get("APIC")?.bytes ?? new Uint8Array();
  const hex = [...madt.subarray(36)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  assertEquals(
    hex,
    "00 00 e0 fe 01 00 00 00 " + // local APIC address, PCAT_COMPAT
      "00 08 00 00 01 00 00 00 " +
      "01 0c 01 00 00 00 c0 fe 00 00 00 00 " +
      "02 0a 00 00 02 00 00 00 00 00 " +
      "02 0a 00 09 09 00 00 00 0d 00 " +
      "04 06 ff 00 00 01",
  );
});

Deno.test("the FADT and the DSDT tell of a CMOS clock where there is one, and say so where there is none", () => {
  for (const rtc of [true, false]) {
    const { tables } = buildAcpiTables({ ...OPTIONS, rtc });
    const fadt = tables.get("FACP")?.bytes ?? new Uint8Array();
    const dsdt = tables.get("DSDT")?.bytes ?? new Uint8Array();
    const bootArch = new DataView(fadt.buffer, fadt.byteOffset).getUint16(109, true);
    // ACPI 6.4 table 5.11: bit 1 8042, bit 2 VGA not present, bit 5 CMOS RTC not present
    assertEquals([bootArch & 0b10_0110, fadt[108]], rtc ? [0b00_0110, 0x32] : [0b10_0110, 0]);
    const pnp0b00 = [0x41, 0xd0, 0x0b, 0x00];
    const found = dsdt.some((_, i) => pnp0b00.every((byte, k) => dsdt[i + k] === byte));
    assertEquals(found, rtc);
  }
});

Deno.test("the DSDT tells of pvpanic as QEMU0001 with its port, where there is one", () => {
  const port = [0x47, 0x01, 0x05, 0x05, 0x05, 0x05, 0x01, 0x01]; // IO descriptor, Decode16, 0x505, 1 byte
  for (const pvpanicPort of [0x505, undefined]) {
    const dsdt = buildAcpiTables({ ...OPTIONS, pvpanicPort }).tables.get("DSDT")?.bytes ?? new Uint8Array();
    const hid = [0x0d, ...new TextEncoder().encode("QEMU0001\0")];
    for (const wanted of [hid, port]) {
      assertEquals(
        dsdt.some((_, i) => wanted.every((byte, k) => dsdt[i + k] === byte)),
        pvpanicPort !== undefined,
      );
    }
  }
});

Deno.test("AML primitives encode as ACPI 6.4 chapter 20 says", () => {
  const cases: [aml.Aml, number[]][] = [
    [aml.int(0), [0x00]],
    [aml.int(1), [0x01]],
    [aml.int(0xff), [0x0a, 0xff]],
    [aml.int(0x1234), [0x0b, 0x34, 0x12]],
    [aml.int(0x1_ffff), [0x0c, 0xff, 0xff, 0x01, 0x00]],
    [aml.path("\\_SB.PCI0"), [0x5c, 0x2e, ...[..."_SB_PCI0"].map((c) => c.charCodeAt(0))]],
    [aml.eisaId("PNP0A03"), [0x0c, 0x41, 0xd0, 0x0a, 0x03]], // the value every PC's DSDT has
    [aml.pkg(aml.int(0), aml.int(1)), [0x12, 0x04, 0x02, 0x00, 0x01]],
    [aml.string("AB"), [0x0d, 0x41, 0x42, 0x00]],
  ];
  for (const [got, want] of cases) assertEquals([...got], want);
  const long = aml.scope("\\_SB", new Array(100).fill(0));
  assertEquals(long.slice(0, 3), [0x10, 0x40 | (107 & 0xf), 107 >> 4]); // 2 + 5 + 100
});

const iasl = "/usr/bin/iasl";
const mayRun = Deno.permissions.querySync({ name: "run", command: iasl }).state === "granted" &&
  Deno.permissions.querySync({ name: "write" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted";
function exists(file: string): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
const skip = !mayRun
  ? "needs --allow-read --allow-write --allow-run"
  : !exists(iasl)
  ? "needs acpica-tools"
  : "";

Deno.test({
  name: `iasl takes every table apart and compiles the DSDT again without complaint${
    skip && ` (skipped: ${skip})`
  }`,
  ignore: skip !== "",
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      const run = async (...args: string[]) => {
        const { success, stdout, stderr } = await new Deno.Command(iasl, { args, cwd: dir }).output();
        const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        assert(success, `iasl ${args.join(" ")}: ${output}`);
        return output;
      };
      const { tables } = buildAcpiTables(OPTIONS);
      for (const [signature, { bytes }] of tables) {
        if (signature === "RSD PTR ") continue;
        const file = `${signature.toLowerCase()}.dat`;
        await Deno.writeFile(`${dir}/${file}`, bytes);
        const output = await run("-d", file);
        for (const bad of ["Invalid", "incorrect", "Error", "Warning", "Could not"]) {
          assert(!output.includes(bad), `${signature}: ${output}`);
        }
        const source = await Deno.readTextFile(`${dir}/${signature.toLowerCase()}.dsl`);
        assertEquals(/Incorrect checksum|Invalid|Unknown/.exec(source), null, signature);
      }
      const dsl = await Deno.readTextFile(`${dir}/dsdt.dsl`);
      for (
        const term of ['EisaId ("PNP0A03")', "WordBusNumber", "DWordMemory", "Device (COM1)", "Name (\\_S5, "]
      ) {
        assert(dsl.includes(term), `${term} is missing`);
      }
      const compiled = await run("-we", "dsdt.dsl");
      assert(/ 0 Errors/.test(compiled) && / 0 Warnings/.test(compiled), compiled);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
