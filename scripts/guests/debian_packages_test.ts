// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { mirrorOf, sourcesFor } from "./debian_packages.ts";

Deno.test("mirrorOf takes the source that calls itself Debian, whatever else the system has", () => {
  const targets = [
    "Other\thttps://packages.example/apt/",
    "Debian-Security\thttp://mirror.example/debian-security/",
    "Debian\thttp://mirror.example/debian/",
    "Debian\thttp://second.example/debian/",
    "",
  ];
  assertEquals(mirrorOf(targets.join("\n")), "http://mirror.example/debian/");
  assertEquals(mirrorOf(targets.slice(0, 2).join("\n")), undefined);
  assertEquals(mirrorOf(""), undefined);
});

Deno.test("sourcesFor writes a deb822 source of one suite", () => {
  assertEquals(
    sourcesFor("http://mirror.example/debian/", "trixie", "/k.gpg"),
    "Types: deb\nURIs: http://mirror.example/debian/\nSuites: trixie\nComponents: main\nSigned-By: /k.gpg\n",
  );
  assertEquals(sourcesFor("http://m/", "sid").includes("Signed-By"), false);
});
