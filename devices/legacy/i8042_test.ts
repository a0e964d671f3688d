// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import * as k from "./i8042.ts";

function rig() {
  const seen = { kbd: false, aux: false, resets: 0 };
  const tracer = new Tracer();
  const chip = new k.I8042("i8042", {
    keyboardIrq: { set: (on) => seen.kbd = on },
    auxIrq: { set: (on) => seen.aux = on },
    tracer,
    reset: () => seen.resets++,
  });
  const status = () => chip.command.readPort(0, 1);
  const read = () => chip.data.readPort(0, 1);
  const write = (value: number) => chip.data.writePort(0, 1, value);
  const command = (value: number, data?: number) => {
    chip.command.writePort(0, 1, value);
    if (data !== undefined) write(data);
  };
  return { chip, seen, tracer, status, read, write, command };
}

Deno.test("I8042 powers on with both ports closed and nothing to read", () => {
  const { status, command, read, seen } = rig();
  assertEquals(status(), k.STR_KEYLOCK);
  command(k.CMD_READ_RAM);
  assertEquals(read(), k.CTR_KBDDIS | k.CTR_AUXDIS);
  assertEquals(seen, { kbd: false, aux: false, resets: 0 });
});

Deno.test("I8042 passes its tests", () => {
  const { status, command, read } = rig();
  const cases: [number, number][] = [[k.CMD_SELF_TEST, 0x55], [k.CMD_KBD_TEST, 0], [k.CMD_AUX_TEST, 0]];
  for (const [test, answer] of cases) {
    command(test);
    assertEquals(status() & k.STR_OBF, k.STR_OBF);
    assertEquals(read(), answer);
    assertEquals(status() & k.STR_OBF, 0);
  }
  assertEquals(status() & k.STR_SYS, k.STR_SYS);
});

Deno.test("I8042 satisfies each step of Linux's i8042 probe without leaving it waiting", () => {
  const { status, command, read } = rig();
  command(k.CMD_READ_RAM);
  const ctr = read();
  command(k.CMD_WRITE_RAM, ctr | k.CTR_KBDDIS);
  command(k.CMD_WRITE_AUX_BUFFER, 0x5a); // loopback test of the auxiliary port
  assertEquals(status() & (k.STR_OBF | k.STR_AUXDATA), k.STR_OBF | k.STR_AUXDATA);
  assertEquals(read(), 0x5a);
  const aux: [number, number][] = [[k.CMD_AUX_DISABLE, k.CTR_AUXDIS], [k.CMD_AUX_ENABLE, 0]];
  for (const [switchTo, bit] of aux) {
    command(switchTo);
    command(k.CMD_READ_RAM);
    assertEquals(read() & k.CTR_AUXDIS, bit);
  }
  command(k.CMD_WRITE_AUX, 0xf2); // GETID: nobody there
  assertEquals(
    status() & (k.STR_OBF | k.STR_AUXDATA | k.STR_TIMEOUT),
    k.STR_OBF | k.STR_AUXDATA | k.STR_TIMEOUT,
  );
  assertEquals(read(), k.NO_RESPONSE);
  assertEquals(status() & k.STR_TIMEOUT, 0);
});

Deno.test("I8042 raises and drops the keyboard and the auxiliary interrupt", () => {
  const { seen, command, read, write } = rig();
  command(k.CMD_WRITE_RAM, k.CTR_KBDINT | k.CTR_AUXINT);
  write(0xf2); // to the keyboard that is not there
  assertEquals([seen.kbd, seen.aux], [true, false]);
  assertEquals(read(), k.NO_RESPONSE);
  assertEquals([seen.kbd, seen.aux], [false, false]);
  command(k.CMD_WRITE_AUX_BUFFER, 0xa5); // how Linux tests IRQ 12
  assertEquals([seen.kbd, seen.aux], [false, true]);
  command(k.CMD_WRITE_RAM, 0);
  assertEquals(seen.aux, false);
  command(k.CMD_WRITE_RAM, k.CTR_AUXINT);
  assertEquals(seen.aux, true);
  read();
  assertEquals(seen.aux, false);
});

Deno.test("I8042 resets the machine by pulse 0xfe and by the output port", () => {
  const { seen, command, read } = rig();
  command(0xff); // pulses nothing
  assertEquals(seen.resets, 0);
  command(0xfe);
  assertEquals(seen.resets, 1);
  command(k.CMD_WRITE_OUTPUT_PORT, k.OUTPUT_PORT_A20);
  assertEquals(seen.resets, 2);
  command(k.CMD_WRITE_OUTPUT_PORT, k.OUTPUT_PORT_RESET);
  command(k.CMD_READ_OUTPUT_PORT);
  assertEquals([seen.resets, read()], [2, k.OUTPUT_PORT_RESET]);
});

Deno.test("I8042 goes on between a command and its data after save and restore", () => {
  const a = rig();
  a.command(k.CMD_WRITE_RAM, k.CTR_KBDINT);
  a.command(k.CMD_WRITE_KBD_BUFFER);
  const b = rig();
  b.chip.data.restore(structuredClone(a.chip.data.save()));
  b.write(0x1c);
  assertEquals([b.seen.kbd, a.seen.kbd], [true, false]);
  assertEquals(b.read(), 0x1c);
  b.chip.data.reset();
  assertEquals(b.status(), k.STR_KEYLOCK);
});

Deno.test("I8042 drives the low byte of a wide access and counts commands it does not know", () => {
  const { chip, tracer, command } = rig();
  assertEquals(chip.command.readPort(0, 2), 0xff00 | k.STR_KEYLOCK);
  chip.command.writePort(0, 4, 0x1234_00aa);
  assertEquals(chip.data.readPort(0, 4), 0xffff_ff55);
  command(0x01);
  assertEquals(tracer.counters.get("unimplemented.i8042: command 1"), 1);
});
