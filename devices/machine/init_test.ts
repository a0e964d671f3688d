// SPDX-License-Identifier: MIT
// INIT by the guest's own local APIC. Rules: SDM Vol. 3A §8.4.1 (the bootstrap processor goes to the reset vector), table
// 9-1; what firmware does there: IBM PC AT Technical Reference, shutdown codes.
import { assertEquals } from "@std/assert";
import { tinyGuest } from "../../tests/_tiny_guest.ts";
import { serialOf, SLEEPLESS } from "./_real_mode.ts";
import { Machine } from "./machine.ts";

const le = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** mov dword [at], value */
const store = (at: number, value: number) => [0xc7, 0x05, ...le(at), ...le(value)];
const shutdownCode = (code: number) => [0xb0, 0x0f, 0xe6, 0x70, 0xb0, code, 0xe6, 0x71];
/** At 0:600, 16-bit code: mov al,'i'; mov dx,3f8h; out dx,al; mov dx,0b004h; mov ax,2000h; out dx,ax; hlt */
const CONTINUED = [
  ...store(0x600, 0xf8ba_69b0),
  ...store(0x604, 0x04ba_ee03),
  ...store(0x608, 0x2000_b8b0),
  ...store(0x60c, 0x9090_f4ef),
  ...store(0x467, 0x0000_0600),
];
/** To APIC 0; then 'x' for whoever comes here. */
const INIT = [
  ...store(0xfee0_0310, 0),
  ...store(0xfee0_0300, 0x4500),
  ...[0xb0, 0x78, 0x66, 0xba, 0xf8, 3, 0xee, 0xeb, 0xfe],
];

const end = (code: readonly number[], engine: "interp" | "jit", icount: boolean) =>
  serialOf((serial) =>
    Machine.create({
      kernel: { name: "init", bytes: tinyGuest([...code, ...INIT]) },
      memoryBytes: 4 << 20,
      type: "hvm",
      engine,
      icount,
      noReboot: true,
      clock: SLEEPLESS,
      serial,
    })
  );

for (const engine of ["interp", "jit"] as const) {
  for (const icount of [false, true]) {
    const how = `${engine}${icount ? ", by instruction count" : ""}`;
    Deno.test(`INIT to oneself goes on at 40:67 in real mode with shutdown codes 5 and 0AH, ${how}`, async () => {
      for (const code of [5, 0x0a]) {
        assertEquals(await end([...CONTINUED, ...shutdownCode(code)], engine, icount), "i poweroff");
      }
    });
    Deno.test(`INIT to oneself without one of them starts the system anew, ${how}`, async () => {
      assertEquals(await end([...CONTINUED, ...shutdownCode(0)], engine, icount), " reboot");
    });
  }
}
