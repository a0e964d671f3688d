// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import * as u from "./uart16550.ts";
import { Uart16550 } from "./uart16550.ts";

function rig() {
  const seen = { irq: false, sent: [] as number[] };
  const uart = new Uart16550("com1", { irq: { set: (on) => seen.irq = on }, send: (b) => seen.sent.push(b) });
  return { seen, uart };
}
const text = (s: string) => new TextEncoder().encode(s);

Deno.test("Uart16550 powers on as datasheet table II says", () => {
  const { uart, seen } = rig();
  const expected: [number, number][] = [
    [u.IER, 0],
    [u.IIR, 0x01],
    [u.LCR, 0],
    [u.MCR, 0],
    [u.LSR, 0x60],
    [u.MSR, 0xb0], // upper nibble: the pins; a terminal that is ready
  ];
  for (const [register, value] of expected) {
    assertEquals(uart.readPort(register, 1), value, `port ${register}`);
  }
  assertEquals(seen.irq, false);
});

Deno.test("Uart16550 sends each byte at once and keeps divisor and scratch", () => {
  const { uart, seen } = rig();
  uart.writePort(u.LCR, 1, u.LCR_DLAB | 3);
  uart.writePort(u.DLL, 1, 0x0c);
  uart.writePort(u.DLM, 1, 0x01);
  assertEquals([uart.readPort(u.DLL, 1), uart.readPort(u.DLM, 1)], [0x0c, 0x01]);
  uart.writePort(u.LCR, 1, 3);
  uart.writePort(u.THR, 1, 0x41);
  uart.writePort(u.SCR, 1, 0x5a);
  assertEquals(uart.readPort(u.SCR, 1), 0x5a);
  assertEquals(uart.readPort(u.LSR, 1), u.LSR_THRE | u.LSR_TEMT);
  assertEquals(seen.sent, [0x41]);
});

Deno.test("Uart16550 drops its IRQ once IIR has reported THRE", () => {
  const { uart, seen } = rig();
  uart.writePort(u.IER, 1, u.IER_ETBEI);
  assertEquals(seen.irq, true);
  assertEquals(uart.readPort(u.IIR, 1), u.IIR_THRE);
  assertEquals(seen.irq, false);
  uart.writePort(u.THR, 1, 0x41);
  assertEquals(seen.irq, true);
  uart.writePort(u.IER, 1, 0);
  assertEquals(seen.irq, false);
  uart.writePort(u.IER, 1, u.IER_ETBEI); // Linux's THRE test: enabling again must interrupt again
  assertEquals(seen.irq, true);
});

Deno.test("Uart16550 raises RDA at the trigger level and the timeout below it", () => {
  const { uart, seen } = rig();
  uart.writePort(u.FCR, 1, u.FCR_ENABLE | 0x80); // trigger level 8
  uart.writePort(u.IER, 1, u.IER_ERBFI);
  assertEquals(uart.receive(text("12345678")), 8);
  assertEquals(seen.irq, true);
  assertEquals(uart.readPort(u.IIR, 1), u.IIR_RECEIVED_DATA | u.IIR_FIFOS_ENABLED);
  assertEquals(uart.readPort(u.RBR, 1), 0x31);
  assertEquals(uart.readPort(u.IIR, 1), u.IIR_TIMEOUT | u.IIR_FIFOS_ENABLED);
  for (let i = 0; i < 7; i++) uart.readPort(u.RBR, 1);
  assertEquals(seen.irq, false);
  assertEquals(uart.readPort(u.LSR, 1) & u.LSR_DR, 0);
});

Deno.test("Uart16550 loses no input beyond the FIFO and takes no more than its backlog holds", () => {
  const { uart } = rig();
  uart.writePort(u.FCR, 1, u.FCR_ENABLE);
  const input = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);
  const taken = uart.receive(input);
  assertEquals(taken, 4096);
  assertEquals(uart.receive(input.subarray(taken)), 16); // room made by the 16 that went into the FIFO
  for (let i = 0; i < taken + 16; i++) {
    assertEquals(uart.readPort(u.LSR, 1) & (u.LSR_DR | u.LSR_OE), u.LSR_DR);
    assertEquals(uart.readPort(u.RBR, 1), i & 0xff);
  }
  assertEquals(uart.readPort(u.LSR, 1) & u.LSR_DR, 0);
});

Deno.test("Uart16550 reports a break as line status, ahead of the data", () => {
  const { uart, seen } = rig();
  uart.writePort(u.FCR, 1, u.FCR_ENABLE);
  uart.writePort(u.IER, 1, u.IER_ELSI | u.IER_ERBFI);
  uart.receive(text("a"));
  uart.receiveBreak();
  assertEquals(uart.readPort(u.IIR, 1) & 0xf, u.IIR_RECEIVED_DATA); // the error is not at the top yet
  assertEquals(uart.readPort(u.LSR, 1), 0x60 | u.LSR_DR | u.LSR_ERROR_IN_FIFO);
  assertEquals(uart.readPort(u.RBR, 1), 0x61);
  assertEquals(uart.readPort(u.IIR, 1) & 0xf, u.IIR_LINE_STATUS);
  assertEquals(uart.readPort(u.LSR, 1) & (u.LSR_BI | u.LSR_DR), u.LSR_BI | u.LSR_DR);
  assertEquals(uart.readPort(u.LSR, 1), 0x60 | u.LSR_DR); // reading cleared it
  assertEquals(uart.readPort(u.RBR, 1), 0);
  assertEquals(seen.irq, false);
});

Deno.test("Uart16550 loops modem outputs back and raises the modem status interrupt", () => {
  const { uart, seen } = rig();
  uart.writePort(u.MCR, 1, u.MCR_LOOP | u.MCR_RTS | u.MCR_OUT2);
  // Linux's autoconfig: in loopback with MCR 0x1a the upper nibble of MSR reads 0x90.
  assertEquals(uart.readPort(u.MSR, 1) & 0xf0, u.MSR_CTS | u.MSR_DCD);
  assertEquals(uart.readPort(u.MSR, 1) & 0x0f, 0);
  uart.writePort(u.IER, 1, u.IER_EDSSI);
  assertEquals(seen.irq, false);
  uart.writePort(u.MCR, 1, u.MCR_LOOP | u.MCR_RTS | u.MCR_OUT2 | u.MCR_OUT1);
  assertEquals(seen.irq, false); // only the trailing edge of RI counts
  uart.writePort(u.MCR, 1, u.MCR_LOOP | u.MCR_RTS | u.MCR_OUT2);
  assertEquals(seen.irq, true);
  assertEquals(uart.readPort(u.IIR, 1), u.IIR_MODEM_STATUS);
  assertEquals(uart.readPort(u.MSR, 1) & 0x0f, u.MSR_TERI);
  assertEquals(seen.irq, false);
});

Deno.test("Uart16550 loops data back, overruns without room, and sends nothing outside", () => {
  const { uart, seen } = rig();
  uart.writePort(u.FCR, 1, u.FCR_ENABLE);
  uart.writePort(u.MCR, 1, u.MCR_LOOP);
  for (let i = 0; i < 20; i++) uart.writePort(u.THR, 1, i); // how Linux measures the FIFO
  let depth = 0;
  assertEquals(uart.readPort(u.LSR, 1) & u.LSR_OE, u.LSR_OE);
  while (uart.readPort(u.LSR, 1) & u.LSR_DR) assertEquals(uart.readPort(u.RBR, 1), depth++);
  assertEquals(depth, 16);
  assertEquals(seen.sent, []);
  uart.writePort(u.FCR, 1, 0); // 16450 mode: the newer character replaces the older
  uart.writePort(u.THR, 1, 1);
  uart.writePort(u.THR, 1, 2);
  assertEquals(uart.readPort(u.LSR, 1) & (u.LSR_OE | u.LSR_DR), u.LSR_OE | u.LSR_DR);
  assertEquals(uart.readPort(u.RBR, 1), 2);
});

Deno.test("Uart16550 goes on after save and restore in the middle of reception", () => {
  const a = rig();
  a.uart.writePort(u.FCR, 1, u.FCR_ENABLE);
  a.uart.writePort(u.IER, 1, u.IER_ERBFI | u.IER_ETBEI);
  a.uart.writePort(u.LCR, 1, 3);
  a.uart.receive(Uint8Array.from({ length: 40 }, (_, i) => i));
  a.uart.readPort(u.RBR, 1);
  const b = rig();
  b.uart.restore(structuredClone(a.uart.save()));
  assertEquals(b.seen.irq, true);
  for (let i = 1; i < 40; i++) assertEquals(b.uart.readPort(u.RBR, 1), i);
  assertEquals(a.uart.readPort(u.RBR, 1), 1); // the original is untouched
  assertEquals(b.uart.readPort(u.IIR, 1) & 0xf, u.IIR_THRE);
  assertEquals(b.uart.readPort(u.LCR, 1), 3);
  b.uart.reset();
  assertEquals([b.seen.irq, b.uart.readPort(u.LCR, 1)], [false, 0]);
});

Deno.test("Uart16550 splits wide accesses into byte cycles, all ones past the end", () => {
  const { uart } = rig();
  uart.writePort(u.MSR, 2, 0x7700); // MSR is read-only, SCR gets the high byte
  assertEquals(uart.readPort(u.SCR, 1), 0x77);
  assertEquals(uart.readPort(u.SCR, 4), 0xffff_ff77);
  assertEquals(uart.readPort(u.LSR, 2), 0xb060);
});
