// SPDX-License-Identifier: MIT
/** What nasm makes of page_rights_32.asm behind its boot sector, and what Bochs 2.7 prints, compressed. Tests only. @module */

/** The bytes from 0x7e00 on, without zeros at the end. */
export const PAGE_RIGHTS_32_IMAGE: string = [
  "VdZtbFNVGAfw0/Z2K3PrLXND5KWUUWQKlo0XeZHViSCKWquggC8VFMecUhA7QIXSrfvSLmkQPyILROMXtdkXyTa1dFmyJksoEmNCYtKQ",
  "Seb926SSTKcOaH3ObSd9brJ7n99zznl67rPTpNPNydi1WDL2440z1caJM6phzvmo6khWG9SG5O+LgxbRNmATxRnfixNC3L4khFEMCocQ",
  "zcnJr0gmMWgTQoxWjnSlBEXjf42ahWgVIymznBqmsZS5mqLKw0aKBN0rb5ooUmR0XUai1SgMXn3UO7PCokcOipooqgzpo6GZtZZQcW1i",
  "X7cQlwTlBufQsskvLi2gLSRClB3sokRbZF1bapuRXiO1TRE5ulcIER61hVOW8V9Vw8Ivo7TcWUez54niG6XMjURxXO5hBUXy3dpS5iiF",
  "7dSMRqGKa4MhIZLqqhphEUJtot3ISXRR45YWCoVT1LsBmfpONmBKHzYGqgYceoreVW24rjb8QrNrKBOi2dSgUomU2VaKtINGIc7LtVq7",
  "jOQMzScjOUPbSVH/Rm27Ua6pK62J1siICqtDN21Tw4aAog5pNvoA1XGdUnX0Vz81bNTTdVPDih7U03aiC2V59eJP4XHT1fHwmEG9ODmc",
  "M4UnTFcnwmlDc2FqRJ/8x6JQi9ySIbC5GBgDe4qBSe2hroiutGgyishaC71515g8HXKlKTyej9TLkZR5rtwrRdnDXWMhOid3x+Wa4riM",
  "sl6qtVfWcuhHw0l3eRWrUjU51qLs/b8mRdkFxZqRerkm0uL0zoxKD1CzhWpYTwdJzjcIEVmqUPSDzPfWy7ZO6a20dS7/TB1a46wt0hIw",
  "q0MrnLXnQtOGIxWBWYWfs6ujW0XWNbpVjGQbO5a0i7lJMSC3N7NA9rXW2zG/nQ4KnZol9BW6Uvwm9eof2WE8d0FuoudGZ6UWoYXZ6n6X",
  "dlL+2+nkid61cs/RiqRmdpqUJm0/5Qp66XCLvDvU7tl5Omn6YQm32PT+d4/dkalqPVVdnPWNnrLoKXlX1O5dlNJmU8HEaTr8bUMi8nWu",
  "J9k5Pf1nf9UERrxJTdGoNWK3U1WaNm04mlWWZX/zFje/O7TJae209m5xKp/L7aORylMupPbYKepfrA3RI6o4tW/piSo5OtOzyyHq2eWQ",
  "7Nnl0OmZq6PQIbIXTpfbkP2E2ZjtYjbBT3XvWoGP2QwPcwXczJVw3TVlLLCz8VmwsvEq5PPlvgc55mpkmGuQZrYikS+vryLObEMfmz8b",
  "MTZeiyDzvfAz18HHXA8P8xy4me+Di3ku7Mz3w8o8D/k75Z6PHPMCZJgXIs1sR4J5EeLMDvQxL0aMuQFB5iXwMzvhY14KD/MDcDMvg4u5",
  "EXbmB2Flfgj52+VejhzzCmSYH0aa2YUE80rEmZvQx9yMGPMqBJlXw8+8Bj7mtfAwPwI38zq4mNfDzrwBVuaNyN8q96PIMW9ChrkFaWY3",
  "EsyPIc7cij7mxxFj3owg8xPwM2+Bj3krPMxPws28DS7mp2BnfhpW5u3IT5f7GeSYn0WG+TmkmT1IMD+POLMXfcwvIMb8IoLMO+Bn3gkf",
  "80vwML8MN/MuuJh3w868B1bmV5D/t9yvIsf8GjLMryPN7EOC+Q3Emfeij3kfYsxvIsj8FvzM++Fjfhse5ja4mQ/AxdwOO/M7sDJ3IP9P",
  "ud9Fjvk9ZJgPIs3sR4L5EOLMh9HH/D5izEcQZP4AfuYAfMyd8DAfhZv5GFzMx2Fn/hBW5o+Q/7vcHyPHfAIZ5pNIMweRYD6FeLnb5c9G",
  "nC2ldrR3BvYfOuYXpfGVop9+pVQq8me9tChdhQLdzl4pPj8tPW+VnpNXxAFBv+oj/wE=",
].join("");

/** Lines of Bochs 2.7, cpu: model=corei7_icelake_u. */
export const PAGE_RIGHTS_32_EXPECTED: string = [
  "vdxdauMwGEbh+1lM8asvsZ3uxr/7X8I0ScPMFAbi0D5FlNypObUlcTio664/729vOTS6c3do/LpNk495qqvu+d/dcGzc52kvfp/cxjOf",
  "r/MEcQviFsStIW4NcWuIWyFuhbgV4nb64NYd/TkdG/d58n59uA+N/ti4z9M+v09u46nPt78yt/HM5+s8Z8TtjLidEbcecesRtx5xGxC3",
  "AXEbELcR7Qsj2hdGtC9cELfLnduh8Qq3C+I2IW4Tet4mxG1G3Gb0vM2I24L2hQXtCwvaF1bEbUXcVsRtQ9w2xG1D3HbEbUfcdsMtyL8F",
  "+bcg/xbk34L8W5B/y1f/9vno3sbR+f837vP8y+3v8Z3c/vi367/q8R2e+Xzs+xTiVohbIW7IvwX5tyD/FuTfgvxbkH8L8m9B/i3IvwX5",
  "tyD/FuTfgvxbkH8L8m9B/i3IvwX5t0zoHDKhc8iEziEz4vbVv33h9i3jPo/hhvxbkH8L8m9B/i3IvwX5tyD/FuTfgvxbkH8L8m8x/i2o",
  "fwvq34L6t6D+LY/+7YfPb0H9Wzrj39IZ/5bO+Ld0hbgVOb+lK8TN+Leg/i2ofwvq34L6t6D+Lah/C+rfgvq3oP4tqH8L6t+C+reg/i2o",
  "fwvq34L6t6D+Ld2EziETOr9N6BwyI24zOr/NiNuC9oUF7QsL2hdWxG1F3FbEbUPcNsRtQ9x2xG1H3JB/Q/1bUP8W1L8F9W8J8m+ofwvq",
  "34L6t6D+Lah/S5B/Q/1bUP8W1L8F9W9B/VtQ/xbUvwX1b0H9W1D/FtS/BfVvQf1bUP8W1L8F9W9B/VtQ/xbUvwX1b0H9W1D/FtS/BfVv",
  "Qf1bUP8W1L8F9W9B/VtQ/xbUvwX1b0H9W1D/FtS/BfVvQf1bQ/1bQ/1be6l/y+OA8eS4zhPELYhbELeGuDXErSFuhbgV4laI2wlxOyFu",
  "V/92P80eGC9wOyNuZ8TtjLj1iFuPuPWI24C4DYjbgLiNiNuIuI1oX7ggbsa/tZf6t1e4TYjbhJ63CXGbEbcZPW8z4rYgbgt63ha0L6yI",
  "24qetxVx2xC3DT1vG+K2I247et52ww31bw31by3Iv6H+raH731qQf0P9W0P9W0P9W0P9W0P3vzXUv7Ug/xbk34L8W5B/C/JvQf4tPXpP",
  "e/SeIv+WAXEbEDfk31D/1lD/1oL8G+rfGurfWpB/Q/1bQ/1bQ/1bQ/1bQ/1bQ/1bC/JvQf4tyL8F+bcg/xbk37Kh93RD6xvyb9kRtx2t",
  "b8a/FerfCvVvhfq3Qv1bofvfCvVvhe5/K3T/W6H73wrd/1bo/rdC978V6t8K9W+F+rdC/Vs9+rcfX9/OiFuP3tMerW894jYgbgNa3wbE",
  "bUTv6YjWtxGdQy6I2wWtbxfEbULv6YTWtwmdQ2bEbUbr24y4Leg9XdD6tqB9YUXcVrS+rYjbht7TDa1vG+K2I247Wt+Qf0P9W6H+rVD/",
  "Vqh/K3T/W6H+rVD/Vqh/K9S/FerfCt3/Vqh/K9S/FerfCvVvhfq3CvJvqH8r1L8V6t8K9W+F+rcK8m+ofyvUvxXq3wr1b4X6t0L9W6H+",
  "rVD/Vqh/K9S/FerfCvVvhfq3Qv1bof6tUP9WqH8r1L8V6t8K9W+F+rdC/Vuh/q1Q/1amf/sN",
].join("");
