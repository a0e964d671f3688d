// SPDX-License-Identifier: MIT
/** What nasm makes of privileges.asm behind its boot sector, compressed, and what Bochs 2.7 prints. Tests only. @module */

/** The bytes from 0x7e00 on, without zeros at the end. */
export const PRIVILEGES_IMAGE: string = [
  "bZl7bFvVHcePfZ3a7uu6oS0Nj+22TQYZhdlNUhLWQcMKdTa2lbFHA9vA8SNx6tie781rY2CaasKtVlXsj6kCpP0Bf1S8gjZtSTWBWVnT",
  "rGIEbZqSVZoC6ph/qwSRylhTOrzfeVzf+3PmP+49n+/vd16/c+45515fiZSPzR8rH5u78NRa7/tP6Z7Nc0d0o7zWo28r/2vrYwGWmgox",
  "6fE79ihjrzPmZdPMYCxSvnrphZkGzv6Ql2EKr35DpPA6wRimAiJlYMrAlD/sZbqxuM5YxZi+bXGK59W3zU8XGSvrO9exIMphrH0d5i3y",
  "Bjz3GGNbVjShM8TYa5OHGJt+Ah1TpdtTM/u86Dazz8c+mNmHhWPV+1bzG2rrGYtOnAlFJ2ZC7/1Z99zQ8rcjWEZ0C2a/jvFuXHohOuNr",
  "uQ8FNsZz+FpexvQAVhtmOpvHHmtsGjvMzvhPPzHDsPL3/j3lX9JYtORrGcMuTfkXJeQFzEkYQHjtZ4d4yNB3mhd/6bnI+Xsis5WMl7En",
  "5yuDeNv75NlKH94n76gcwNs9kQvY/6h+ainU/fGbHqsBk5UQhgLDxtWN/LIJTV5p2ohJn0xuwoiW5icWtXcWPz4dGNYmznrW8aZ/fFo5",
  "3MVbxbBV3Rj4IuvWPZ3YVwP7wzwYo1Jzy82YxgJDwzuewQztzY0IAWsVpnc0Nz7bXVz2FPzW6u7q3MUd3UfYxZu6z7DTF7cO3jLAKkU2",
  "hc1nIoOorXH/4PYBtlRk0bejR2XRg95nj8oKD18Y9lcOYq0X107eVnkYE5UH8XJEtq9caWjWfOHKPpQmjcoevHVX3+yeuGroh/7+abXa",
  "XX2je2JZ0w/9CqF6euKTkH7oeUySGGE0+LCGsbYdRxkTMwcb4MylqQ1ykk3VzUZ7iuiejS1zeI8ebRelFO9k+uFfYB8rL+HlxcNly195",
  "HlMXP8Kxe4ZLT/4+9VJq4nLVWqf/Fgfs3aj+whv6tnf136yPVs+8znBeXHouNeN/qxgtySKxfTcfFdHnYxLAGPqZnDxMPCnn9W3nI+XI",
  "+chs8Yp2is9nyy/Kqf5TBX3Qy6M8x6Nc2Yz26GvlI0z8UqdY6cUPDpeHr1z5aHL1+3B6f7niq2hoOdCsN+u+8O6uEfDddPEfE7tlI6z2",
  "4u7m9cOho3ubAyU5THA3RhXVon64E1OTWyu/xoAf8TVXXsE7NKMmGhvi02djS0Dc17aE8C7jjK67i9YNlSLPtrc5WBmViUAlywvo54Xe",
  "WnmYpx/iA+vMsLeKOMPwgjPsreJx5zdYHWTQgxkc9kAXYS+0EtagibAPgoQbYPlTN68CIOyHBYdRCcAssQdhmthXw0nCa+AE4bVQIrwO",
  "xgmvhzQpX4dewiHoIf4boIvYG6GV8DXQRHgjBAlvguX/unkzAOFrYYHwFpgl3ATThK+Dk4SvhxOEb4AS4RthnPBnIE34s9BL2IAewluh",
  "i/A2aCW8HZoIN0OQcAssX3Xz5wAI3wQLhG+GWcKtME3483CS8C1wgvAOKBG+FcYJ3wZpwl+AXsJh6CEcgS7CO6GVcBs0EW6HIOEOWP7E",
  "zbsACN8OC4Q7YZZwF0wTvgNOEv4inCC8G0qEvwTjhO+ENOG7oJfwHugh3A1dhO+GVsJfhibCeyFI+B5YvuLmewEI74MFwlGYJdwD04S/",
  "AicJfxVOEL4PSoS/BuOEvw5pwt+AXsL7oYfw/dBF+JvQSvgBaCL8LQgS/jYsL7v5OwCEvwsLhA/ALOFemCb8IJwk/BCcIPw9KBH+PowT",
  "/gGkCT8MvYQfgR7CMegi3AethOPQRDgBQcJJWL7s5hQA4X5YIDwAs4TTME14EE4SPggnCGegRHgIxglnIU04B72E89BD+IfQRbgArYRN",
  "aCJsQZDwMCz/x80jAIRHYYHwGMwSHodpwj+Ck4R/DCcIPwolwj+BccKPQZrw49Dr5gF8W2Bwr5IeGBi2ErnRLFP2u1hFHYD0AH9P4D+u",
  "M/WrVvHy9Nvy/nN1f/oVef9E3S+9zfoZviGUGPmZ/QmLl9CAR2d2XJBGiK1hbluN0k6+gCSNkMpn22qUSVhGgef06axso0YR8xKrG4dU",
  "rRgCxVody5pd9hpbdsVnRVpzpWWVSrfTQ+ao3VbPoo0aRZHRZXWj3VaPYbNWxypKjt3mjBqXoH1kl4q2QsES6n3cSjxjmbwcTV8l05or",
  "jXkdXaYz2A7V4yUJmhtkb22LgoGM1WaksyOZfL/d4U4iav9PVF2v87TF0T5UErLlQZs0QqL1jk2Skytw3Mmj0iKHrcv0UG7EiBfCsstG",
  "ucZaHYuOu+2EO0W/97oFrV7g/aUebiFRuF22YevlGmt1LNrgtisuJIZMMU396quDFLR6AfPXeThCPJPmJXivHOcprZbCPLYmUqaVNmzf",
  "Zw7YpBHieVw2QemsGJULRYy+GBOZ4iOiNJkyrVhczb9zEjQ3yPlnWxRkMvJZwYd2ToLmBvlo2xYbrIKhRp3NK9IIyWw1m00xEenANF+H",
  "de8bnLU6xpzU7mJzNJbvN1UPLx9XqFGUvXSsNo6bhaTsaVT326hR5HndVoWFhGXG5YMRUaC5QTwaNYuEsf6k1Tei2jpno0ZRttWxKkxn",
  "LaNN1PeWpkBzA6/PsTgQaZeZ1tukERLZHJsk0WjDMhNh/rnDq0dqAhbtCPmaoume5UIiPyRi4NXbComU2Rczk0YulRJP8qWo/nLZUXGe",
  "htgKEYuy1dFCv1T7Ygmu6tEpsbvis8Xt8zV77qAyV/nvcWXms9nI5gxzKJaXY+Q5JzQpbOINPhfPKAHrFcofcR0y8v1iFgf4lx+mbysL",
  "Lam0kPwaxLXsaM3tl0qKJ2pSuSa5/BaVOJDuH+Diuqj4vORxKiokzWRhJKnKud+urd3Ix+wmMPkhiouZWMftUjQ218R8PJ1IKnWV11Zd",
  "VfIvWbJKYelLW5EO5f9TonbZpQRcalvEVnnbhGoOjdkV3qsKaOOuu9pUjXwSyY+187ZpJzXtcUwd1BRiypTJqUBWda/UOo3ILrGj82Fh",
  "e0WkUOuQmu7S7N6vl7PIo0y45LsDw3wqMNsvJwq73JYlvVqVliWeB1tpqsHAM7Jyj2Uyqn1VrqFjWExeuzNy+urby2KAdhi8TzxCG1go",
  "OuVxIqQb55UHv6FfJslXQHQTXuhhf4vkdsMaSGYNUy5ioaktNQ8x8gkcnYScOJq+VWGEf++V2OHg9kq8EJGOxtl4oUMlURXTwIf76tmE",
  "3JYxvbWcycUPGu69fgk33mQqWTAyQ7LGDWIjFB8kp1iAf7RX5thKc7Bmdj8Bbhev42IPjDJ7RAnramYznqzP7BHWfMziI2LslOZRDPmp",
  "VT4/lo0Xx9xWb8aLJs20ccQjID1wOVpha/Do4QyuPgV7PmyYPiSaVuQN59MqHKfmiTpzylkLhR2naflU9fFqVdkP9pu1mr0ekbdmw20r",
  "mbUwLnHTFTkLo6YiR72S6bxTzwj3crUjlk/HDdqU6xl3wcd0hQsGi7jwcQgufop1mUZ2OJMx5MTxHpuzhTYl+SY1RyyIfY56Ccn2SuQz",
  "EkPH5hKmwVfRNluYRyGew/VQ8HbBlilPC5Nhgblhy1Qrpn+Kf6QWqn0Amtx4bJ6fV/qGzXGxkU2G8dDClUTMikklpBQrLbmdM39TIi5z",
  "/FXCjlujs531lPZ48YAeSuPhwsiKWgMD3j2MPRt9W2imKWdktLQ4eM3+Qe/glgH+N4Wy4qja1QiPEPcI1XmEqZm5zQVnwLc4reJF5Pl/",
  "IYNb9tuObYYaAtGDQc32sP9bcHmFpUuo3gU9Unx4+GLF/5zgVrRhjdFzwmYXH+SNRKuScZC4unaAD5AyDA7ljZQ8PDZ2z+zh/yuwnhnR",
  "gZ7qzcpaK3ANuvjqbGomCFNYmuL5DL465fIZI5/Lp/i02TDgxQXj2WcOtDC8W159zciQNDJhxBVXGPHOjTychWQmZqVHkngCycZj2VxW",
  "bQL2ESV6dAs/jBwk9vVO8KNHb/CJ9TWbE6cXL74ecowlEvLtWVvy4AKc7ceXPFNkDqXo73ikw+gbt+QTqNfZ8sPmgCFNnlV48MuJ1J/M",
  "WEacZz1/jcXEe7b3L8xeFuSxrp3jWFoMhVfvUCSfT71jOKE2mmp5ZCjOt0P+xnapW58JD+WyaSsnH0s8Z51N5YeNpKhj9dQmechZmOOi",
  "3FdXTzXZ4mgsbSk1aKtPK9EYykv9eqWbuOrIYtfYxeoHylyVJayxS1BqzkyNyfe8NVOGPBEpS1/OEgvlNbbuyjk0NLailqtCrWu9Phob",
  "GeOn0Jw5ZsZGxBLj+8PlA2Uuj4l9s5EJYczkR31DCA2TTPe8o5R2qTQ4SoQr/lc9kx5Hw7hyL6GIlwa+xaHyqhdfHETV9jnc162/bEhl",
  "OBvLpPuzfDNr5J8IXn4kgK/x8kwxnk/K/vEnJtWjdx5itk2t6o38SQvxJX2Fh7hgr2sHUe4rtpqVvmLGXGs/tfgQM/Fne52TvT7dqBzJ",
  "4hmodxezbI34o1ka8MUkLT5b+C7pM5cLiUIsq75izCzFM6kMPg65vPzalsI4dI4W8gcLwyJkcr5+iCUIBV+qN/MXhQ+USzI+xpWGVzH0",
  "H9rZbKcP/wc=",
].join("");

/** Bochs 2.7, cpu: model=corei7_icelake_u. */
export const PRIVILEGES_EXPECTED = `
0000:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050
0001:..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0002:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0100:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050
0101:..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0102:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0200:..1 ..1 ..1 ..1 010 010 010 010 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0201:..3 030 ..3 030 030 030 030 030 ..3 030 ..3 030 ..3 030 ..3 030 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0202:..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0300:..1 ..1 ..1 ..1 010 010 010 010 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0301:..3 ..3 ..3 ..3 030 030 030 030 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3
0302:..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 110 110 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0400:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050
0401:..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 ..3 030 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0402:110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0500:..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050 050
0501:..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0502:110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0600:..1 ..1 ..1 ..1 010 010 010 010 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0601:..3 030 ..3 030 030 030 030 030 ..3 030 ..3 030 ..3 030 ..3 030 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070 070
0602:110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0700:..1 ..1 ..1 ..1 010 010 010 010 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1 ..1
0701:..3 ..3 ..3 ..3 030 030 030 030 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3 ..3
0702:110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 110 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150 150
0800:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0801:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0802:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0900:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0901:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0902:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0a00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0a01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0a02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0b00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0b01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0b02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0c00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0c01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0c02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0d00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0d01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0d02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0e00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0e01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0e02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
0f00:000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 000 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040 040
0f01:020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 020 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060 060
0f02:100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140 140
sgdt:-
sgdt:-
sgdt:-
sgdt:0d0000
sidt:-
sidt:-
sidt:-
sidt:0d0000
sldt r:-
sldt r:-
sldt r:-
sldt r:0d0000
sldt m:-
sldt m:-
sldt m:-
sldt m:0d0000
str:-
str:-
str:-
str:0d0000
smsw r:-
smsw r:-
smsw r:-
smsw r:0d0000
smsw m:-
smsw m:-
smsw m:-
smsw m:0d0000
lgdt:-
lgdt:0d0000
lgdt:-
lgdt:0d0000
clts:-
clts:0d0000
clts:-
clts:0d0000
lmsw:-
lmsw:0d0000
lmsw:-
lmsw:0d0000
hlt3 invlpg:-
hlt3 invlpg:0d0000
hlt3 invlpg:-
hlt3 invlpg:0d0000
wbinvd:-
wbinvd:0d0000
wbinvd:-
wbinvd:0d0000
invd:-
invd:0d0000
invd:-
invd:0d0000
mov cr0:-
mov cr0:0d0000
mov cr0:-
mov cr0:0d0000
mov cr8:-
mov cr8:0d0000
mov cr8:-
mov cr8:0d0000
mov dr7:-
mov dr7:0d0000
mov dr7:-
mov dr7:0d0000
rdmsr:-
rdmsr:0d0000
rdmsr:-
rdmsr:0d0000
cli:-
cli:0d0000
cli:-
cli:0d0000
sti cli:-
sti cli:-
sti cli:-
sti cli:-
in:-
in:0d0000
in:-
in:0d0000
stac:-
stac:06ffff
stac:-
stac:06ffff
lldt:-
lldt:0d0000
lldt:-
lldt:0d0000
ltr 0:0d0000
ltr 0:0d0000
ltr 0:0d0000
ltr 0:0d0000
lar:-
lar:-
lar:-
lar:-
swapgs:-
swapgs:0d0000
swapgs:-
swapgs:0d0000
sysret:06ffff
sysret:06ffff
sysret:06ffff
sysret:06ffff
rdtsc:-
rdtsc:-
rdtsc:-
rdtsc:-
xgetbv:06ffff
xgetbv:06ffff
xgetbv:06ffff
xgetbv:06ffff
int 3:03ffff
int 3:03ffff
int 3:03ffff
int 3:03ffff
int 14:0ed002
int 14:0ed002
int 14:0ed002
int 14:0ed002
rdtsc tsd0:-
rdtsc tsd3:0d0000
rdtscp tsd3:0d0000
rdpmc:0d0000
rdfsbase off:06ffff
rdfsbase on:-
rdfsbase on3:-
wrgsbase bad:0d0000
wrgsbase ok:-
stac no smap:-
stac smap:-
clac smap3:06ffff
cr0 pg0:0d0000
cr0 pe0:0d0000
cr0 nw:0d0000
cr0 cd:-
cr0 cdnw:-
cr0 high:0d0000
cr0 reserved:-
cr4 pae0:0d0000
cr4 la57:0d0000
cr4 pcide:-
cr4 high:0d0000
cr4 bit15:0d0000
cr4 bit19:0d0000
cr4 bit31:0d0000
cr4 smxe:0d0000
cr3 bit63:0d0000
cr3 bit62:0d0000
cr3 bit52:0d0000
cr3 low:-
cr8 16:0d0000
cr8 15:-
cr8 high:0d0000
dr7 high:0d0000
dr6 high:0d0000
dr7 bits:-
dr6 all:01ffff
dr0 bad:-
pcide, cr3 63:-
pcide, pcid, clear:-
pcid then set:0d0000
dr4 de0:-
dr4 de1:06ffff
dr5 de1:06ffff
cr1:06ffff
cr5:06ffff
cr9:06ffff
dr8:06ffff
lock mov cr0:06ffff
efer lme0:0d0000
efer lma0:-
efer reserved:0d0000
efer high:0d0000
efer sce:-
pat bad 2:0d0000
pat bad 3:0d0000
pat reserved:0d0000
pat ok:-
lstar bad:0d0000
cstar bad:0d0000
fsbase bad:0d0000
kgs ok:-
sysenter cs high:-
sysenter eip bad:0d0000
apic base bad:0d0000
apic base res:0d0000
ss null r0:-
ss null 3 r0:0d0000
ss null r3:0d0000
ss null 3 r3:0d0000
ss dpl:0d0010
ds r0 r3:0d0010
ds code:-
ds tss:0d0030
ds outside:0d1000
ds ldt:0d0014
ltr busy:0d0030
ltr data:0d0010
ltr ti:0d0034
lldt data:0d0010
lgdt bad:0d0000
iret nt:0d0000
iret ss3:0d0010
iret cs data:0d0010
iret cs 0:0d0000
iret rip bad:0d0000
iret r3 ss null:0d0000
iret r3 ss 0:0d0010
retf r3:0e0005
retf null:0d0000
retf out:0d1000
jmp far:0d0010
jmp far null:0d0010
jmp far tss:0d0010
cpl3 iopl popf:-
vm popf:-
rip relative noncanon:0d0000
stack noncanon:0c0000
lock nop:06ffff
lock add r:06ffff
long insn:0d0000
15 bytes:-
push es:06ffff
into:06ffff
salc:06ffff
aam:06ffff
sysenter:0d0000
sysexit:0d0000
sysexit3:0d0000
ud0:06ffff
vmcall:06ffff
monitor3:06ffff
fpu em:07ffff
fpu ts:07ffff
wait ts:-
wait ts mp:07ffff
sse em:06ffff
sse ts:07ffff
sse osfxsr:06ffff
sse both:06ffff
mmx em:06ffff
mmx ts:07ffff
avx no osxsave:06ffff
avx xcr0:06ffff
xsetbv 0:0d0000
xsetbv 4:0d0000
xsetbv 1:0d0000
xsetbv 3:0d0000
xgetbv 2:0d0000
xsave off:06ffff
xsave unaligned:0d0000
invpcid type:0d0000
invpcid res:0d0000
invpcid pcid no pcide:0d0000
invpcid 0:-
invpcid 0 bad:0d0000
invpcid 3:0d0000
rdpid:-
rdrand:-
clflushopt:-
wrpkru off:06ffff
rdpkru on:-
wrpkru ecx:0d0000
wrpkru on:-
`;
